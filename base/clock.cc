// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <time.h>

#include <charconv>

namespace cvlan {

WallTime SystemClock::now() const {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now());
}

BootTime SystemClock::since_boot() const {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::milliseconds(now.tv_nsec / 1000000);
}

std::string rfc3339(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

namespace {

// Reads exactly `digits` digits at `at`, or -1.
int digits_at(std::string_view text, size_t at, size_t digits) {
    int value = 0;
    if (at + digits > text.size()) return -1;
    const char* end = text.data() + at + digits;
    if (text[at] == '-') return -1;
    const auto [stop, error] = std::from_chars(text.data() + at, end, value);
    return error == std::errc() && stop == end ? value : -1;
}

}  // namespace

Result<WallTime> from_rfc3339(std::string_view text) {
    const auto bad = [&] {
        return fail(Code::Invalid, "'{}' is no RFC 3339 time in UTC", text.substr(0, 40));
    };
    const int year = digits_at(text, 0, 4), month = digits_at(text, 5, 2),
              day = digits_at(text, 8, 2), hour = digits_at(text, 11, 2),
              minute = digits_at(text, 14, 2), second = digits_at(text, 17, 2);
    if (year < 0 || month < 1 || day < 1 || hour < 0 || minute < 0 || second < 0) return bad();
    const bool shaped = text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' &&
                        text[16] == ':' && text.back() == 'Z';
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!shaped || !date.ok() || hour > 23 || minute > 59 || second > 60) return bad();
    int ms = 0;
    if (text.size() > 20) {
        const size_t digits = text.size() - 21;
        if (text[19] != '.' || digits < 1 || digits > 9) return bad();
        int fraction = digits_at(text, 20, digits);
        if (fraction < 0) return bad();
        for (size_t i = digits; i < 3; ++i) fraction *= 10;
        for (size_t i = 3; i < digits; ++i) fraction /= 10;
        ms = fraction;
    }
    return WallTime(std::chrono::sys_days(date) + std::chrono::hours(hour) +
                    std::chrono::minutes(minute) + std::chrono::seconds(second) +
                    std::chrono::milliseconds(ms));
}

Result<std::chrono::seconds> parse_duration(std::string_view text) {
    int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const bool one_unit = error == std::errc() && end + 1 == text.data() + text.size();
    const std::string_view units = "smhd";
    const size_t unit = one_unit ? units.find(text.back()) : std::string_view::npos;
    constexpr int64_t kSeconds[] = {1, 60, 3600, 86400};
    constexpr int64_t kTenYears = 10 * 366 * 86400LL;
    if (unit == std::string_view::npos || count < 0 || count > kTenYears / kSeconds[unit])
        return fail(Code::Invalid, "'{}' is no duration such as 30s, 15m, 24h or 7d",
                    text.substr(0, 32));
    return std::chrono::seconds(count * kSeconds[unit]);
}

std::string duration_text(std::chrono::seconds span) {
    const int64_t count = span.count();
    if (count % 86400 == 0) return fmt::format("{}d", count / 86400);
    if (count % 3600 == 0) return fmt::format("{}h", count / 3600);
    if (count % 60 == 0) return fmt::format("{}m", count / 60);
    return fmt::format("{}s", count);
}

}  // namespace cvlan
