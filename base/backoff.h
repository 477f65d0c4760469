// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace cvlan {

// Full jitter: half a second to a second at first, then from 1 s to 2, 4 … 45 s, so that many nodes
// do not come back at once (F79). With an attempt of 10 s that was under way, and one that then
// succeeds, all are back within a minute.
class Backoff {
public:
    explicit Backoff(uint32_t seed) : state_(seed | 1u) {}
    std::chrono::milliseconds next();
    void reset() { failures_ = 0; }

private:
    uint32_t state_;
    int failures_ = 0;
};

}  // namespace cvlan
