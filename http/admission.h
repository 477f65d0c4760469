// SPDX-License-Identifier: Apache-2.0
#pragma once

// How many TLS handshakes may be under way. Each costs a millisecond of CPU, and one that waits for
// its turn for too long is given up by its client: what was spent on it is lost. So when many nodes
// come back at once, most wait in the kernel's queue, and all that begin come through. Only those
// count that began in this second: slow clients keep nobody out for longer than that.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace cvlan::http {

class Admission {
public:
    using Time = std::chrono::steady_clock::time_point;

    explicit Admission(size_t limit) : limit_(limit) {}

    bool is_full(Time now) {
        look(now);
        return young_ >= limit_;
    }
    // After being full: with some room, so that connections are taken in groups.
    bool has_room(Time now) {
        look(now);
        return young_ <= limit_ / 2;
    }
    // What end() is to be told.
    int64_t begin(Time now) {
        look(now);
        ++young_;
        return second_;
    }
    void end(int64_t ticket) {
        if (ticket == second_ && young_ > 0) --young_;
    }
    static std::chrono::milliseconds until_next(Time now) {
        const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(
            now.time_since_epoch() % std::chrono::seconds(1));
        return std::chrono::milliseconds(1000) - since;
    }

private:
    void look(Time now) {
        const int64_t second =
            std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
        if (second == second_) return;
        second_ = second;
        young_ = 0;
    }

    size_t limit_;
    size_t young_ = 0;
    int64_t second_ = 0;
};

}  // namespace cvlan::http
