// SPDX-License-Identifier: Apache-2.0
#include "base/backoff.h"

#include <algorithm>

namespace cvlan {

std::chrono::milliseconds Backoff::next() {
    const int64_t limit = std::min<int64_t>(45'000, 1000ll << std::min(failures_, 6));
    ++failures_;
    // xorshift32: spreading nodes needs no better randomness.
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    if (limit <= 1000) return std::chrono::milliseconds(500 + state_ % 500);
    return std::chrono::milliseconds(1000 + state_ % static_cast<uint32_t>(limit - 1000));
}

}  // namespace cvlan
