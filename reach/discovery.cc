// SPDX-License-Identifier: Apache-2.0
#include "reach/discovery.h"

#include <algorithm>
#include <array>

namespace cvlan::reach {

using std::chrono::milliseconds;

namespace {

// A question is repeated after so long (RFC 8489 section 6.2.1, with fewer repetitions: a server
// that lost four is no good one), and its server counted as lost then.
constexpr std::array kRepeat{milliseconds(500), milliseconds(500), milliseconds(1000),
                             milliseconds(1500)};
constexpr milliseconds kRefresh{20'000};
constexpr milliseconds kRefreshJitter{10'000};
constexpr milliseconds kDoubtPause{5'000};
constexpr milliseconds kAskAll{300'000};
constexpr milliseconds kLostAgain{60'000};
constexpr milliseconds kSpread{200};
constexpr milliseconds kProbe{1'000};
constexpr size_t kAtATime = 2;

}  // namespace

void Discovery::ask(Server& server, BootTime at) {
    server.open.reset();
    server.tries = 0;
    server.next = at;
    server.is_probed = false;
}

void Discovery::probe(const Endpoint& server, BootTime now) {
    for (Server& one : servers_) {
        if (one.at != server || one.next != BootTime::max()) continue;
        ask(one, now);
        one.is_probed = true;
    }
}

void Discovery::ask_all(BootTime now) {
    all_at_ = refreshed_at_ = now;
    refresh_at_ = now + kRefresh + jitter_.below(kRefreshJitter);
    for (Server& server : servers_) ask(server, now + jitter_.below(kSpread));
}

void Discovery::set_servers(std::span<const Endpoint> servers, BootTime now) {
    std::vector<Server> next;
    bool has_new = false;
    for (const Endpoint& at : servers) {
        if (next.size() == kMostServers) break;
        const auto same = [&](const Server& one) { return one.at == at; };
        if (std::any_of(next.begin(), next.end(), same)) continue;
        const auto known = std::find_if(servers_.begin(), servers_.end(), same);
        has_new = has_new || known == servers_.end();
        next.push_back(known == servers_.end() ? Server{at} : *known);
    }
    servers_ = std::move(next);
    if (servers_.empty()) refresh_at_ = BootTime::max();
    if (!has_new) return;
    is_asked_ = false;
    ask_all(now);
}

void Discovery::set_needed(bool is_needed, BootTime now) {
    if (is_needed == is_needed_) return;
    is_needed_ = is_needed;
    if (!is_needed || servers_.empty()) return;
    const auto fresh = [&](const Server& one) {
        return one.answered_at && now - *one.answered_at < kRefresh;
    };
    if (std::none_of(servers_.begin(), servers_.end(), fresh)) refresh_at_ = now;
}

void Discovery::doubt(BootTime now) {
    if (servers_.empty() || !refreshed_at_ || now - *refreshed_at_ < kDoubtPause) return;
    refresh_at_ = std::min(refresh_at_, now);
}

void Discovery::network_changed(BootTime now) {
    for (Server& server : servers_) server = Server{server.at};
    is_asked_ = false;
    varies_ = Varies::Unknown;
    if (!servers_.empty()) ask_all(now);
}

void Discovery::measure(BootTime now) {
    if (!servers_.empty()) ask_all(now);
}

bool Discovery::is_asking() const {
    return std::any_of(servers_.begin(), servers_.end(), [](const Server& one) {
        return one.next != BootTime::max() && !one.is_probed;
    });
}

std::vector<const Discovery::Server*> Discovery::nearest() const {
    std::vector<const Server*> sorted;
    for (const Server& server : servers_)
        if (!server.is_lost && server.round_trip) sorted.push_back(&server);
    std::stable_sort(sorted.begin(), sorted.end(), [](const Server* a, const Server* b) {
        return *a->round_trip < *b->round_trip;
    });
    return sorted;
}

// The nearest two; where fewer answer, others in their place, which may be back.
void Discovery::refresh(BootTime now) {
    if (!all_at_ || now - *all_at_ >= kAskAll) return ask_all(now);
    refreshed_at_ = now;
    refresh_at_ = now + kRefresh + jitter_.below(kRefreshJitter);
    const auto sorted = nearest();
    for (Server& server : servers_) {
        const auto place = std::find(sorted.begin(), sorted.end(), &server) - sorted.begin();
        const bool is_chosen = place < static_cast<ptrdiff_t>(std::min(kAtATime, sorted.size()));
        const bool is_to_try = server.is_lost && now - server.sent_at >= kLostAgain;
        if (is_chosen || (is_to_try && sorted.size() < kAtATime)) ask(server, now);
    }
}

std::vector<Discovery::Question> Discovery::step(BootTime now) {
    if (is_needed_ && now >= refresh_at_) refresh(now);
    std::vector<Question> questions;
    for (Server& server : servers_) {
        if (now < server.next) continue;
        if (server.tries == (server.is_probed ? 1 : static_cast<int>(kRepeat.size()))) {
            server.is_lost = true;
            server.open.reset();
            server.next = BootTime::max();
            continue;
        }
        // The same transaction for all repetitions: an answer to any of them will do.
        if (!server.open) server.open = make_();
        if (server.tries == 0) server.sent_at = now;
        const milliseconds pause =
            server.is_probed ? kProbe : kRepeat[static_cast<size_t>(server.tries)];
        ++server.tries;
        server.next = now + pause;
        questions.push_back({server.at, *server.open});
    }
    settle();
    return questions;
}

// Mappings are compared when no question is open: in between one of them may be the older.
void Discovery::settle() {
    if (!all_at_ || is_asking()) return;
    is_asked_ = true;
    varies_ = Varies::Unknown;
    const auto sorted = nearest();
    if (sorted.size() < kAtATime) return;
    varies_ = sorted[0]->mapped == sorted[1]->mapped ? Varies::No : Varies::Yes;
}

BootTime Discovery::deadline() const {
    BootTime due = is_needed_ && !servers_.empty() ? refresh_at_ : BootTime::max();
    for (const Server& server : servers_) due = std::min(due, server.next);
    return due;
}

bool Discovery::answered(const stun::TransactionId& transaction, const Endpoint& from,
                         const Endpoint& mapped, BootTime now) {
    for (Server& server : servers_) {
        if (server.at != from || server.open != transaction) continue;
        if (mapped.address.family() != from.address.family()) return false;
        // Which of several questions it answers is not known: only that of the first is measured.
        if (server.tries == 1) server.round_trip = now - server.sent_at;
        if (!server.round_trip) server.round_trip = now - server.sent_at;
        server.mapped = mapped;
        server.answered_at = now;
        server.is_lost = false;
        server.open.reset();
        server.next = BootTime::max();
        settle();
        return true;
    }
    return false;
}

Discovery::Result Discovery::result() const {
    const auto sorted = nearest();
    if (sorted.empty()) return {std::nullopt, varies_, is_asked_, std::nullopt};
    return {sorted[0]->mapped, varies_, is_asked_, sorted[0]->at};
}

bool is_forgotten(const Discovery::Result& before, const Discovery::Result& now) {
    using Varies = Discovery::Varies;
    if (!before.mapped || !now.mapped || before.mapped == now.mapped) return false;
    if (before.varies == Varies::Yes || now.varies == Varies::Yes) return false;
    return before.varies == Varies::No || before.by == now.by;
}

std::optional<milliseconds> Discovery::round_trip(const Endpoint& server) const {
    for (const Server& one : servers_)
        if (one.at == server && !one.is_lost) return one.round_trip;
    return std::nullopt;
}

}  // namespace cvlan::reach
