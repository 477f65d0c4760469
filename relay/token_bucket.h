// SPDX-License-Identifier: Apache-2.0
#pragma once

// How much may pass: so many a second, and a second's worth at once after a pause. No clock of its
// own; a time that goes back adds nothing.

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace cvlan::relay {

class TokenBucket {
public:
    explicit TokenBucket(uint64_t a_second)
        : a_second_(a_second), tokens_(a_second) {}  // 0: no limit

    void refill(std::chrono::milliseconds now) {
        if (now <= last_) return;
        // An hour fills any bucket, and overflows nothing.
        const auto passed = std::min<std::chrono::milliseconds>(now - last_, std::chrono::hours(1));
        const uint64_t more = a_second_ * static_cast<uint64_t>(passed.count()) / 1000;
        // What a short time adds may be less than one: then it is counted with the next.
        if (more == 0 && tokens_ < a_second_) return;
        tokens_ = std::min(a_second_, tokens_ + more);
        last_ = now;
    }
    // All or nothing. A piece above a second's worth passes when the bucket is full.
    bool take(uint64_t count) {
        if (a_second_ == 0) return true;
        if (count > tokens_ && tokens_ < a_second_) return false;
        tokens_ -= std::min(count, tokens_);
        return true;
    }

private:
    uint64_t a_second_;
    uint64_t tokens_;
    std::chrono::milliseconds last_{0};
};

}  // namespace cvlan::relay
