// SPDX-License-Identifier: Apache-2.0
#include "reach/trial.h"

#include <algorithm>

namespace cvlan::reach {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kAnswerable{5'000};
constexpr milliseconds kFirstPatience{500};
constexpr milliseconds kLeastPatience{300};
constexpr milliseconds kMostPatience{2'000};
constexpr milliseconds kLeastPause{150};

}  // namespace

uint32_t Jitter::next() {  // xorshift32
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
}

BootTime Jitter::around(milliseconds span) {
    const auto tenth = static_cast<uint32_t>(span.count() / 10);
    return span - milliseconds(tenth) + below(milliseconds(2 * tenth));
}

BootTime Jitter::below(milliseconds most) {
    return milliseconds(next() % (static_cast<uint32_t>(most.count()) + 1));
}

void Trial::run(Plan plan, BootTime now) {
    plan_ = plan;
    at_ = 0;
    next_ = plan.empty() ? BootTime::max() : now + plan[0];
}

void Trial::stop() {
    plan_ = {};
    at_ = 0;
    next_ = BootTime::max();
}

void Trial::beat(BootTime at) {
    if (!is_running()) next_ = std::min(next_, at);
}

void Trial::hurry(BootTime now) {
    if (!is_running()) return;
    next_ = std::min(next_, sent_at_ ? std::max(now, *sent_at_ + kLeastPause) : now);
}

milliseconds Trial::patience() const {
    if (!round_trip_) return kFirstPatience;
    return std::clamp(*round_trip_ * 4, kLeastPatience, kMostPatience);
}

BootTime Trial::due() const {
    BootTime due = next_;
    for (const Pending& one : pending_)
        if (one.token != 0 && !one.is_lost) due = std::min(due, one.sent_at + patience());
    return due;
}

void Trial::sent(uint64_t token, BootTime now, Jitter& jitter) {
    pending_[oldest_] = {token, now};
    oldest_ = (oldest_ + 1) % pending_.size();
    sent_at_ = now;
    if (is_running()) ++at_;
    next_ = is_running() ? now + jitter.around(plan_[at_]) : BootTime::max();
}

bool Trial::answered(uint64_t token, BootTime now) {
    const auto found = std::find_if(pending_.begin(), pending_.end(),
                                    [&](const Pending& one) { return one.token == token; });
    if (token == 0 || found == pending_.end() || now - found->sent_at > kAnswerable) return false;
    const milliseconds trip = now - found->sent_at;
    // RFC 6298's smoothing; a path that was silent is measured anew.
    const bool is_anew = !round_trip_ || !answered_at_ || now - *answered_at_ > kAnswerable * 12;
    round_trip_ = is_anew ? trip : (*round_trip_ * 7 + trip) / 8;
    answered_at_ = now;
    answers_[next_answer_] = now;
    next_answer_ = (next_answer_ + 1) % answers_.size();
    // What was sent before this one is of no more interest.
    for (Pending& one : pending_)
        if (one.token != 0 && one.sent_at <= found->sent_at && &one != &*found) one.is_lost = true;
    *found = {};
    excuse();
    return true;
}

void Trial::excuse() {
    lost_in_row_ = 0;
    lost_since_.reset();
}

void Trial::expire(BootTime now) {
    for (Pending& one : pending_) {
        if (one.token == 0 || one.is_lost || now - one.sent_at < patience()) continue;
        one.is_lost = true;
        ++lost_in_row_;
        if (!lost_since_ || one.sent_at < *lost_since_) lost_since_ = one.sent_at;
    }
}

int Trial::answers_since(BootTime time) const {
    return static_cast<int>(std::count_if(answers_.begin(), answers_.end(),
                                          [&](BootTime each) { return each >= time; }));
}

}  // namespace cvlan::reach
