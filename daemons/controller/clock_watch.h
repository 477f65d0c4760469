// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the controller makes of a clock that is wrong (F32): one that jumps while it runs is told,
// and not believed (base/anchored_clock.h); with one that is behind what the database holds it does
// not start, as tokens would come back to life and nodes refuse its maps.

#include "base/anchored_clock.h"
#include "store/store.h"

namespace cvlan::controller {

class ClockWatch {
public:
    static constexpr std::chrono::seconds kEvery{10};

    explicit ClockWatch(const AnchoredClock& clock) : clock_(clock) {}
    // Says once that the wall clock is off, and once that it is right again.
    void look();

private:
    const AnchoredClock& clock_;
    bool is_off_ = false;
};

// Conflict where the database was written to later than `now`, as its jobs tell: one runs each day.
Result<void> check_clock(store::Store& store, WallTime now);

}  // namespace cvlan::controller
