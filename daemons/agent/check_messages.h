// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the Pathfinder keeps of the messages it sends and takes: checks under way, and how many it
// lets through. Pure.

#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "daemons/agent/relay_seam.h"

namespace cvlan::agent {

// So many in a second, and as many at once.
class Budget {
public:
    explicit Budget(int64_t per_second) : per_second_(per_second), left_(per_second * 1000) {}
    [[nodiscard]] bool take(BootTime now);

private:
    int64_t per_second_;
    int64_t left_;  // in thousandths
    BootTime filled_at_{};
};

// Whom each check went to: an answer has its number, and is proved by that peer's key.
class OpenChecks {
public:
    // Longer than an answer is of use (reach::Trial).
    static constexpr std::chrono::seconds kKept{6};

    // Numbers come one after the other.
    void sent(uint64_t token, const PathKey& to, BootTime now);
    const PathKey* find(uint64_t token) const;
    size_t size() const { return open_.size(); }

private:
    struct Open {
        uint64_t token = 0;
        PathKey to;
        BootTime sent_at{};
    };
    std::deque<Open> open_;
};

// The most important of the places to be told in a check: a few, of those that may be sent to.
std::vector<Endpoint> told_places(const std::vector<Endpoint>& places);

}  // namespace cvlan::agent
