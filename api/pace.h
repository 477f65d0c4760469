// SPDX-License-Identifier: Apache-2.0
#pragma once

// At most one of something in so long, of each who does it. Bounded in memory: whose last was
// longer ago is forgotten, and beyond 100,000 everybody. Safe to use from any thread.

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace cvlan::api {

class Pace {
public:
    Pace(std::chrono::seconds between, const Clock& clock) : between_(between), clock_(clock) {}

    // How long it is to wait, a second at least; nullopt: it is time, and this one counts.
    std::optional<std::chrono::seconds> too_soon(const std::string& who);

private:
    const std::chrono::seconds between_;
    const Clock& clock_;
    std::mutex mutex_;
    std::unordered_map<std::string, BootTime> last_;
    BootTime swept_at_{};
};

}  // namespace cvlan::api
