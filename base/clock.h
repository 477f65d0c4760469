// SPDX-License-Identifier: Apache-2.0
#pragma once

// The two clocks that are passed to whoever needs the time, never read behind its back.
// Wall time may jump; boot time (CLOCK_BOOTTIME) never goes back and counts suspend.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cvlan {

using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
using BootTime = std::chrono::milliseconds;  // since boot

class Clock {
public:
    virtual ~Clock() = default;
    virtual WallTime now() const = 0;
    virtual BootTime since_boot() const = 0;
};

class SystemClock final : public Clock {
public:
    WallTime now() const override;
    BootTime since_boot() const override;
};

// For tests: stands still until told.
class ManualClock final : public Clock {
public:
    explicit ManualClock(WallTime now) : now_(now) {}
    WallTime now() const override { return now_; }
    BootTime since_boot() const override { return since_boot_; }
    void advance(std::chrono::milliseconds by) {
        now_ = now_.load() + by;
        since_boot_ = since_boot_.load() + by;
    }
    void set_wall(WallTime now) { now_ = now; }

private:
    std::atomic<WallTime> now_;
    std::atomic<BootTime> since_boot_{BootTime{0}};
};

inline int64_t unix_ms(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime from_unix_ms(int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

// RFC 3339, UTC with milliseconds: "2026-11-20T19:54:00.000Z".
std::string rfc3339(WallTime time);
// Takes any RFC 3339 time with 'Z'; an offset other than Z is Code::Invalid.
Result<WallTime> from_rfc3339(std::string_view text);

// "90s", "24h", "7d", "30m": a whole number and one unit of s, m, h, d.
Result<std::chrono::seconds> parse_duration(std::string_view text);
// In the largest unit that it is whole in.
std::string duration_text(std::chrono::seconds span);

}  // namespace cvlan
