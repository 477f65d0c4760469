// SPDX-License-Identifier: Apache-2.0
#pragma once

// Wall time that does not jump: what the wall clock said at the start, and what has gone by since
// by the clock that never goes back. Corrections are followed as long as they come to less than
// kBelieved together; a wall clock that is further off is not believed before the next start (F32).
// Any thread may ask.

#include "base/clock.h"

namespace cvlan {

class AnchoredClock final : public Clock {
public:
    static constexpr std::chrono::minutes kBelieved{10};

    // `clock` outlives it.
    explicit AnchoredClock(const Clock& clock)
        : clock_(clock), booted_at_(clock.now() - clock.since_boot()) {}

    WallTime now() const override {
        const WallTime expected = booted_at_ + clock_.since_boot();
        const WallTime wall = clock_.now();
        return std::chrono::abs(wall - expected) < kBelieved ? wall : expected;
    }
    BootTime since_boot() const override { return clock_.since_boot(); }

    // How far the wall clock is ahead of now(): nothing as long as it is believed.
    std::chrono::milliseconds disbelieved() const { return clock_.now() - now(); }

private:
    const Clock& clock_;
    const WallTime booted_at_;
};

}  // namespace cvlan
