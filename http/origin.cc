// SPDX-License-Identifier: Apache-2.0
#include "http/origin.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace cvlan::http {

Result<Origin> parse_origin(std::string_view url) {
    constexpr std::string_view kScheme = "https://";
    const auto wrong = [&] {
        return fail(Code::Invalid, "'{}' is no https://HOST:PORT", printable(url));
    };
    if (!url.starts_with(kScheme)) return wrong();
    std::string_view rest = url.substr(kScheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
    Origin origin;
    size_t colon = rest.rfind(':');
    if (rest.starts_with('[')) {
        const size_t end = rest.find(']');
        if (end == std::string_view::npos) return wrong();
        origin.host = rest.substr(1, end - 1);
        colon = end + 1 < rest.size() ? end + 1 : std::string_view::npos;
        if (colon != std::string_view::npos && rest[colon] != ':') return wrong();
    } else {
        origin.host = rest.substr(0, colon);
    }
    if (colon != std::string_view::npos) {
        const char* end = rest.data() + rest.size();
        const auto [stop, error] = std::from_chars(rest.data() + colon + 1, end, origin.port);
        if (error != std::errc() || stop != end || origin.port == 0) return wrong();
    }
    const bool is_good = !origin.host.empty() && origin.host.size() <= 253 &&
                         std::all_of(origin.host.begin(), origin.host.end(), [](char c) {
                             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                    (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
                         });
    if (!is_good) return wrong();
    return origin;
}

}  // namespace cvlan::http
