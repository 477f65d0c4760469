// SPDX-License-Identifier: Apache-2.0
#pragma once

// So many failures a minute an address; IPv6 counts by /64. Bounded in memory: beyond 10,000
// addresses the one that has been quiet for longest is forgotten. Safe to use from any thread.

#include <map>
#include <mutex>

#include "base/clock.h"
#include "base/ip.h"

namespace cvlan::api {

class Limiter {
public:
    Limiter(int per_minute, const Clock& clock) : per_minute_(per_minute), clock_(clock) {}

    // Costs an address that has not failed nothing.
    bool is_exhausted(const Address& address) const;
    void count(const Address& address);

private:
    struct Bucket {
        double failures = 0;  // drains at per_minute_
        BootTime at{};
    };
    double failures_of(const Bucket& bucket) const;

    int per_minute_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::map<Prefix, Bucket> buckets_;
};

}  // namespace cvlan::api
