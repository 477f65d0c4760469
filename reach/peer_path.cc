// SPDX-License-Identifier: Apache-2.0
#include "reach/peer_path.h"

#include <algorithm>
#include <tuple>

namespace cvlan::reach {

using std::chrono::milliseconds;

namespace {

// The pauses before each check. A search has to meet the other side's, which begins when the map
// tells it, and to outlast losses; the later ones of a plan are for those.
constexpr std::array kSearch{milliseconds(0),    milliseconds(250),  milliseconds(250),
                             milliseconds(500),  milliseconds(1000), milliseconds(1000),
                             milliseconds(1500), milliseconds(2000), milliseconds(2500)};
constexpr std::array kBurst{milliseconds(0), milliseconds(250), milliseconds(500),
                            milliseconds(1000), milliseconds(1500)};
constexpr std::array kConfirm{milliseconds(0), milliseconds(200), milliseconds(200)};
constexpr std::array kBetter{milliseconds(0), milliseconds(300), milliseconds(500),
                             milliseconds(600), milliseconds(800)};

constexpr milliseconds kSettle{3'000};   // a search takes the first that answers, and any better
constexpr milliseconds kRecent{5'000};   // an answer this old still says something
constexpr milliseconds kSteady{3'000};   // two answers in so long: not by luck
constexpr int kDoubtful = 2;             // checks lost in a row
constexpr milliseconds kSilence{1'500};  // with three of them lost and nothing heard
constexpr milliseconds kBlindSilence{4'000};  // the same where the kernel was not looked at
constexpr milliseconds kGivenUp{5'000};
constexpr milliseconds kLookAgain{900};
constexpr milliseconds kBurstPause{5'000};
constexpr milliseconds kDwell{10'000};
constexpr milliseconds kBetterFirst{5'000};
constexpr milliseconds kBetterPause{30'000};
constexpr milliseconds kSearchFirst{5'000};
constexpr milliseconds kSearchPause{60'000};
constexpr milliseconds kPairAfter{500};
constexpr milliseconds kRelayKept{30'000};
constexpr milliseconds kWriteAgain{1'000};
constexpr milliseconds kWriteFirst{2'000};
constexpr milliseconds kWritePause{60'000};
constexpr milliseconds kRtt{5};  // less is no difference

}  // namespace

Trial* PeerPath::trial_of(const Endpoint& to) {
    const auto found = std::find_if(trials_.begin(), trials_.end(),
                                    [&](const Trial& one) { return one.what().to == to; });
    return found == trials_.end() ? nullptr : &*found;
}

const Trial* PeerPath::trial_of(const Endpoint& to) const {
    return const_cast<PeerPath*>(this)->trial_of(to);
}

Trial& PeerPath::use(const Candidate& what) {
    Trial* known = trial_of(what.to);
    if (!known) known = &trials_.emplace_back(what);
    known->set_way(what.way);
    return *known;
}

void PeerPath::drop_others(const std::vector<Candidate>& candidates) {
    std::erase_if(trials_, [&](const Trial& one) {
        const Endpoint& to = one.what().to;
        const auto is_it = [&](const Candidate& other) { return other.to == to; };
        if (std::any_of(candidates.begin(), candidates.end(), is_it)) return false;
        if (std::find(learnt_.begin(), learnt_.end(), to) != learnt_.end()) return false;
        if (current_ != to) return true;
        // What is in use has left the list. A direct one may still work; a relay's is no more.
        is_proven_ = false;
        if (is_direct(one.what().way)) return false;
        // A relay's kernel may go on for minutes; what goes by TLS has nobody to take it.
        if (one.what().way == Way::RelayTls) dropped_ = current_;
        current_.reset();
        return true;
    });
}

void PeerPath::offer(const std::vector<Candidate>& candidates, BootTime now) {
    drop_others(candidates);
    const bool is_searching = search_began_ && now - *search_began_ < kSettle;
    for (const Candidate& one : candidates) {
        const bool is_new = !trial_of(one.to);
        if (is_new && trials_.size() >= kMostTrials) continue;
        Trial& trial = use(one);
        const Trial* current = in_use();
        const bool is_of_interest = is_searching || !is_proven_ || suspect_since_ || !current ||
                                    one.way <= current->what().way;
        if (is_new && is_of_interest) trial.run(kSearch, now);
    }
}

void PeerPath::search(BootTime now, bool is_afresh) {
    search_began_ = now;
    is_search_afresh_ = is_afresh;
    search_again_ = BootTime::max();
    suspect_since_.reset();
    if (is_afresh) is_proven_ = false;
    doubt(now);
    for (Trial& trial : trials_) {
        if (is_afresh) trial = Trial(trial.what());  // what is known of it is of another network
        trial.run(kSearch, now);
    }
}

// What is in use is known by hearsay, or by what was long ago: whoever searches hears of it too.
void PeerPath::doubt(BootTime now) {
    if (is_proven_ && current_) suspect_since_ = now;
}

bool PeerPath::is_settling(BootTime now) const {
    return search_began_ && now - *search_began_ < kSettle;
}

void PeerPath::look(const Look& seen, BootTime now) {
    looked_before_ = looked_at_;
    looked_at_ = now;
    if (seen.has_traffic) traffic_at_ = now;
    kernel_ = seen.kernel ? std::optional(seen.kernel->to) : std::nullopt;
    if (!seen.kernel) {
        wants_write_ = current_ && is_proven_;
        return;
    }
    if (!current_) {
        current_ = kernel_;
        use(*seen.kernel);
        // A session outlives the relay that carried it.
        is_proven_ = seen.is_live && !is_search_afresh_ && current_ != dropped_;
        doubt(now);
        return;
    }
    if (kernel_ == current_) {
        wants_write_ = false;
        auto mark = suspect_since_;
        if (!is_proven_ && search_began_)
            mark = std::max(mark.value_or(*search_began_), *search_began_);
        const bool is_since = !mark || (looked_before_ && *looked_before_ >= *mark);
        if (!seen.has_heard || !is_since) return;
        is_proven_ = true;
        suspect_since_.reset();
        if (Trial* trial = in_use()) trial->excuse();
        return;
    }
    if (wants_write_) return;
    if (seen.has_heard) return roamed(*seen.kernel, now);
    // Nobody but a packet moves it: somebody's hand did, or what we wrote was refused.
    wants_write_ = is_proven_;
    if (!is_proven_) current_ = kernel_, use(*seen.kernel);
}

void PeerPath::roamed(const Candidate& kernel, BootTime now) {
    const Trial* current = in_use();
    const bool is_worse = current && kernel.way > current->what().way;
    const bool is_answering =
        current && current->answered_at() && now - *current->answered_at() < kRecent;
    if (is_worse && is_proven_ && !suspect_since_ && is_answering) {
        // The other side sends to us by a worse one than we know of. It will find it too.
        wants_write_ = true;
        const bool is_quarrel = written_at_ && now - *written_at_ < kDwell + write_pause_;
        write_pause_ =
            is_quarrel ? std::clamp(write_pause_ * 2, kWriteFirst, kWritePause) : milliseconds(0);
        return;
    }
    use(kernel).excuse();
    current_ = kernel.to;
    is_proven_ = true;
    suspect_since_.reset();
    moved_at_ = now;
}

void PeerPath::asked_from(const Candidate& source, BootTime now) {
    has_answered_ = true;
    Trial* trial = trial_of(source.to);
    if (!trial) {
        if (trials_.size() >= kMostTrials + kMostLearnt) return;
        if (learnt_.size() >= kMostLearnt) {
            const Endpoint oldest = learnt_.front();
            learnt_.erase(learnt_.begin());
            if (current_ != oldest)
                std::erase_if(trials_, [&](const Trial& one) { return one.what().to == oldest; });
        }
        learnt_.push_back(source.to);
        trial = &use(source);
    }
    if (current_ == source.to && is_proven_ && !suspect_since_) return;
    if (trial->answered_at() && now - *trial->answered_at() < kSteady) return;
    if (!trial->is_running()) trial->run(kBetter, now);
    trial->hurry(now);
}

bool PeerPath::answered(uint64_t token, const Endpoint& from, BootTime now) {
    Trial* trial = trial_of(from);
    if (!trial || !trial->answered(token, now)) return false;
    has_answered_ = true;
    if (current_ == from) {
        is_proven_ = true;
        suspect_since_.reset();
    }
    return true;
}

Trial* PeerPath::best_since(BootTime since, const Trial* but) {
    Trial* best = nullptr;
    const auto order = [](const Trial& one) {
        return std::tuple(one.what().way, one.round_trip().value_or(milliseconds(0)));
    };
    for (Trial& trial : trials_) {
        if (&trial == but || !trial.what().carries || !trial.answered_at() ||
            *trial.answered_at() < since)
            continue;
        if (!best || order(trial) < order(*best)) best = &trial;
    }
    return best;
}

bool PeerPath::is_silent(BootTime now) const {
    const Trial* current = in_use();
    if (!suspect_since_ || !current || current->lost_in_row() < 3) return false;
    // A look that heard something since would have ended the suspicion.
    const bool was_looked_at = looked_before_ && *looked_before_ >= *suspect_since_;
    return now - *suspect_since_ >= (was_looked_at ? kSilence : kBlindSilence);
}

void PeerPath::move_to(const Trial& trial, BootTime now) {
    current_ = trial.what().to;
    is_proven_ = true;
    suspect_since_.reset();
    moved_at_ = now;
    wants_write_ = kernel_ != current_;
    write_pause_ = milliseconds(0);
    told_at_.reset();
    search_pause_ = milliseconds(0);
    better_at_ = BootTime::max();
}

void PeerPath::decide(BootTime now, Jitter& jitter) {
    const Trial* current = in_use();
    if (!current || !is_proven_) {
        BootTime since = now - kRecent;
        if (is_search_afresh_) since = std::max(since, search_began_.value_or(since));
        if (const Trial* best = best_since(since, nullptr)) move_to(*best, now);
        return;
    }
    const bool is_doubtful = suspect_since_ && current->lost_in_row() >= kDoubtful;
    const Trial* best = is_doubtful ? best_since(*suspect_since_, current) : nullptr;
    // Something as good that has answered meanwhile is not worse if the doubt was wrong.
    if (best && (is_silent(now) || best->what().way <= current->what().way)) {
        better_pause_ = milliseconds(0);  // it may be back soon
        return move_to(*best, now);
    }
    if (!is_silent(now)) return decide_upgrade(now);
    if (now - *suspect_since_ < kGivenUp) return;
    // Who knows of no checks has answered none.
    if (!has_answered_) return suspect_since_.reset();
    is_proven_ = false;
    search_again_ = now + jitter.around(kSearchFirst);
}

void PeerPath::decide_upgrade(BootTime now) {
    const Trial& current = *in_use();
    const int needed = is_settling(now) ? 1 : 2;
    const auto is_better = [&](const Trial& one) {
        if (one.what().way != current.what().way) return one.what().way < current.what().way;
        const bool may_leave = is_settling(now) || !moved_at_ || now - *moved_at_ > kDwell;
        return may_leave && one.round_trip() && current.round_trip() &&
               *one.round_trip() * 10 < *current.round_trip() * 7 &&
               *current.round_trip() - *one.round_trip() > kRtt;
    };
    const Trial* best = nullptr;
    for (const Trial& trial : trials_) {
        if (&trial == &current || !trial.what().carries || !is_better(trial)) continue;
        if (trial.answers_since(now - kSteady) < needed) continue;
        if (!best || std::tuple(trial.what().way, trial.round_trip()) <
                         std::tuple(best->what().way, best->round_trip()))
            best = &trial;
    }
    if (best) move_to(*best, now);
}

// Checks of what is in use, as long as it is, and of what may be better.
void PeerPath::watch(BootTime now, Jitter& jitter) {
    if (!is_proven_) {
        const bool is_running = std::any_of(trials_.begin(), trials_.end(),
                                            [](const Trial& one) { return one.is_running(); });
        if (is_running || !is_busy(now)) return;
        if (search_again_ == BootTime::max()) {
            search_pause_ = std::clamp(search_pause_ * 2, kSearchFirst, kSearchPause);
            search_again_ = now + jitter.around(search_pause_);
        }
        if (now >= search_again_) search(now, false);
        return;
    }
    Trial* current = in_use();
    if (!current || !has_answered_ || !traffic_at_ || now - *traffic_at_ >= kIdle) return;
    current->beat(now + jitter.around(is_busy(now) ? beat_ : kSlowBeat));
    watch_silence(*current, now);
    try_better(*current, now, jitter);
}

void PeerPath::watch_silence(Trial& trial, BootTime now) {
    if (trial.lost_in_row() == 0) return;
    if (!suspect_since_) {
        suspect_since_ = trial.lost_since();
        burst_at_.reset();
        trial.run(kConfirm, now);
    }
    if (trial.lost_in_row() < 2 || (burst_at_ && now - *burst_at_ < kBurstPause)) return;
    burst_at_ = now;
    for (Trial& other : trials_)
        if (&other != &trial && !other.is_running()) other.run(kBurst, now);
}

void PeerPath::try_better(const Trial& current, BootTime now, Jitter& jitter) {
    const auto is_better = [&](const Trial& one) { return one.what().way < current.what().way; };
    if (std::none_of(trials_.begin(), trials_.end(), is_better)) {
        better_at_ = BootTime::max();
        better_pause_ = milliseconds(0);
        return;
    }
    if (better_at_ == BootTime::max()) {
        better_pause_ = std::clamp(better_pause_ * 2, kBetterFirst, kBetterPause);
        better_at_ = now + jitter.around(better_pause_);
    }
    if (now < better_at_ || !is_busy(now)) return;
    better_at_ = BootTime::max();
    for (Trial& trial : trials_)
        if (is_better(trial) && !trial.is_running()) trial.run(kBetter, now);
}

std::vector<Probe> PeerPath::step(BootTime now, size_t most, uint64_t& token, Jitter& jitter) {
    for (Trial& trial : trials_) trial.expire(now);
    watch(now, jitter);
    decide(now, jitter);
    std::vector<Probe> probes;
    for (Trial& trial : trials_) {
        if (probes.size() >= most) break;
        if (!trial.wants_check(now)) continue;
        probes.push_back({++token, trial.what()});
        trial.sent(token, now, jitter);
    }
    return probes;
}

BootTime PeerPath::due() const {
    BootTime due = BootTime::max();
    for (const Trial& trial : trials_) due = std::min(due, trial.due());
    if (is_proven_ && better_at_ != BootTime::max() && looked_at_ && is_busy(*looked_at_))
        due = std::min(due, better_at_);
    if (!is_proven_) due = std::min(due, search_again_);
    return due;
}

std::optional<Endpoint> PeerPath::to_write(BootTime now) {
    if (!wants_write_ || !current_ || kernel_ == current_) return std::nullopt;
    if (told_at_ && now - *told_at_ < std::max(write_pause_, kWriteAgain)) return std::nullopt;
    told_at_ = written_at_ = now;
    return current_;
}

const Candidate* PeerPath::path() const {
    if (!is_proven_) return nullptr;
    const Trial* trial = kernel_ ? trial_of(*kernel_) : nullptr;
    if (!trial || wants_write_) trial = in_use();
    return trial ? &trial->what() : nullptr;
}

std::optional<milliseconds> PeerPath::round_trip() const {
    const Candidate* what = path();
    const Trial* trial = what ? trial_of(what->to) : nullptr;
    return trial ? trial->round_trip() : std::nullopt;
}

bool PeerPath::needs_relay(BootTime now) const {
    const Trial* current = in_use();
    if (!current || !is_proven_ || suspect_since_ || !is_direct(current->what().way)) return true;
    const auto settled_at = std::max(moved_at_, search_began_);
    return settled_at && now - *settled_at < kRelayKept;
}

bool PeerPath::needs_pair(BootTime now) const {
    const Trial* current = in_use();
    const bool is_good = current && is_proven_ && is_direct(current->what().way);
    const bool has_pair = std::any_of(trials_.begin(), trials_.end(), [](const Trial& one) {
        return one.what().way == Way::RelayUdp;
    });
    if (has_pair && needs_relay(now)) return true;
    if (is_good) return suspect_since_ && now - *suspect_since_ >= kPairAfter;
    return has_answered_ && search_began_ && now - *search_began_ >= kPairAfter;
}

bool PeerPath::wants_look(BootTime now) const {
    if (!suspect_since_) return false;
    if (!looked_at_ || *looked_at_ < *suspect_since_) return true;
    const bool is_second = looked_before_ && *looked_before_ >= *suspect_since_;
    return !is_second && now - *looked_at_ >= kLookAgain;
}

bool PeerPath::is_done(BootTime now) const {
    if (traffic_at_ && now - *traffic_at_ < kIdle) return false;
    if (search_began_ && now - *search_began_ < kSettle) return false;
    return !wants_write_ && due() == BootTime::max();
}

}  // namespace cvlan::reach
