// SPDX-License-Identifier: Apache-2.0
#include "http/encode.h"

#include <algorithm>
#include <ctime>

#include "base/version.h"
#include "http/head_scan.h"

namespace cvlan::http {
namespace {

// RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::time_t at) {
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm utc{};
    gmtime_r(&at, &utc);
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday,
                       kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                       utc.tm_sec);
}

// Thousands of answers bear the same second.
const std::string& date_now() {
    thread_local std::time_t made_at = 0;
    thread_local std::string made;
    const std::time_t now = std::time(nullptr);
    if (now != std::exchange(made_at, now)) made = http_date(now);
    return made;
}

struct Head {
    std::string text;
    std::string unfit{};  // the first header that could end its own line

    void add(std::string_view name, std::string_view value) {
        if (unfit.empty() && !(is_header_name(name) && is_header_value(value)))
            unfit = name.empty() ? "without a name" : name;
        text.append(name).append(": ").append(value).append("\r\n");
    }
    Result<std::string> end(const Headers& headers) {
        for (const auto& header : headers) add(header.name, header.value);
        if (!unfit.empty()) return fail(Code::Invalid, "header '{}' can not be sent", unfit);
        return std::move(text.append("\r\n"));
    }
};

}  // namespace

size_t body_bytes(const Response& response) {
    size_t sum = response.body.size();
    for (const auto& chunk : response.chunks) sum += chunk->size();
    return sum;
}

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

Result<std::string> encode_head(const Response& response, const ResponseFraming& framing) {
    if (response.status < 100 || response.status > 599)
        return fail(Code::Invalid, "status {} can not be sent", response.status);
    Head head{fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason(response.status))};
    head.add("Date", date_now());
    head.add("X-Request-Id", framing.request_id);
    head.add("X-Content-Type-Options", "nosniff");
    if (!response.content_type.empty()) head.add("Content-Type", response.content_type);
    if (!has_no_body(response.status))
        head.add("Content-Length", fmt::format_int(body_bytes(response)).str());
    if (framing.close) head.add("Connection", "close");
    return head.end(response.headers);
}

Result<std::string> encode_head(const ClientRequest& request, std::string_view host) {
    if (!is_header_name(request.method)) return fail(Code::Invalid, "no method");
    if (!is_target(request.target))
        return fail(Code::Invalid, "target '{}' can not be sent", request.target);
    Head head{fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target)};
    head.add("Host", host);
    head.add("User-Agent", fmt::format("cvlan/{}", kVersion));
    // RFC 9110 section 8.6: a method that means a body says so even when it is empty.
    const bool bodiless = request.method == "GET" || request.method == "HEAD";
    if (!request.body.empty() || !bodiless)
        head.add("Content-Length", fmt::format_int(request.body.size()).str());
    return head.end(request.headers);
}

}  // namespace cvlan::http
