// SPDX-License-Identifier: Apache-2.0
#pragma once

// Warnings that strangers can bring about as often as they like: each kind is logged at most once
// a minute, and then says how many were left out before it. The audit has them all. From any
// thread.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace cvlan {

class Warnings {
public:
    explicit Warnings(const Clock& clock) : clock_(clock) {}

    // How many were left out since the last that was logged; nullopt: so is this one. There are few
    // kinds: an event, or an event and its code.
    std::optional<int64_t> due(std::string_view kind);

private:
    struct Last {
        BootTime at{};
        int64_t left_out = 0;
    };

    const Clock& clock_;
    std::mutex mutex_;
    std::map<std::string, Last, std::less<>> logged_;
};

}  // namespace cvlan
