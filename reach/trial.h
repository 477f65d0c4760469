// SPDX-License-Identifier: Apache-2.0
#pragma once

// The checks of one candidate: when the next is due, which are under way, what came of the last
// ones. Pure; PeerPath decides when to try.

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.h"
#include "reach/way.h"

namespace cvlan::reach {

// A tenth to and fro, so that what began together does not go on together.
class Jitter {
public:
    explicit Jitter(uint32_t seed) : state_(seed | 1u) {}
    BootTime around(std::chrono::milliseconds span);
    // From nothing up to `most`.
    BootTime below(std::chrono::milliseconds most);

private:
    uint32_t next();
    uint32_t state_;
};

class Trial {
public:
    using Plan = std::span<const std::chrono::milliseconds>;  // the pause before each check

    explicit Trial(const Candidate& what) : what_(what) {}
    const Candidate& what() const { return what_; }
    void set_way(Way way) { what_.way = way; }

    // Checks by `plan` from `now` on. One that is under way is begun anew.
    void run(Plan plan, BootTime now);
    void stop();
    // One check, not before `at`, unless a plan is being run.
    void beat(BootTime at);
    // The other side is trying it just now: the next check of the plan at once.
    void hurry(BootTime now);
    bool is_running() const { return at_ < plan_.size(); }

    // The next moment at which something is to be done: a check sent, or one counted as lost.
    BootTime due() const;
    bool wants_check(BootTime now) const { return next_ <= now; }
    void sent(uint64_t token, BootTime now, Jitter& jitter);
    // False: not an answer to one of ours of the last five seconds.
    bool answered(uint64_t token, BootTime now);
    // Counts those which have waited too long.
    void expire(BootTime now);
    // The path works, whatever became of its checks.
    void excuse();

    std::optional<std::chrono::milliseconds> round_trip() const { return round_trip_; }
    std::optional<BootTime> answered_at() const { return answered_at_; }
    std::optional<BootTime> lost_since() const { return lost_since_; }
    int lost_in_row() const { return lost_in_row_; }
    int answers_since(BootTime time) const;

private:
    struct Pending {
        uint64_t token = 0;  // 0: none
        BootTime sent_at{};
        bool is_lost = false;
    };
    std::chrono::milliseconds patience() const;

    Candidate what_;
    Plan plan_{};
    size_t at_ = 0;
    BootTime next_ = BootTime::max();
    std::optional<BootTime> sent_at_;
    std::array<Pending, 8> pending_{};
    size_t oldest_ = 0;
    std::optional<std::chrono::milliseconds> round_trip_;
    std::optional<BootTime> answered_at_;
    std::optional<BootTime> lost_since_;  // when the first of those lost in a row was sent
    std::array<BootTime, 4> answers_{BootTime::min(), BootTime::min(), BootTime::min(),
                                     BootTime::min()};
    size_t next_answer_ = 0;
    int lost_in_row_ = 0;
};

}  // namespace cvlan::reach
