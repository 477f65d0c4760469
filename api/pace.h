// SPDX-License-Identifier: Apache-2.0
#pragma once

// So many of something at once, and then one in so long, of each who does it. Bounded in memory:
// who may do all again is forgotten, and beyond 100,000 everybody. Safe to use from any thread.

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace cvlan::api {

class Pace {
public:
    using Span = std::chrono::milliseconds;
    Pace(Span between, int at_once, const Clock& clock)
        : between_(between), ahead_(between * (at_once - 1)), clock_(clock) {}

    // How long it is to wait, a second at least; nullopt: it is time, and this one counts.
    std::optional<std::chrono::seconds> too_soon(const std::string& who);

private:
    const Span between_;
    const Span ahead_;  // of the even pace
    const Clock& clock_;
    std::mutex mutex_;
    std::unordered_map<std::string, BootTime> next_;  // when each would come at the even pace
    BootTime swept_at_{};
};

}  // namespace cvlan::api
