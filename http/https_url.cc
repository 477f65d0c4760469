// SPDX-License-Identifier: Apache-2.0
#include "http/https_url.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/ip.h"

namespace cvlan::http {

namespace {

constexpr std::string_view kScheme = "https://";
constexpr size_t kLongest = 2000;

Result<uint16_t> read_port(std::string_view text) {
    int port = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, port);
    if (text.empty() || error != std::errc() || stop != end || port < 1 || port > 65535)
        return fail(Code::Invalid, "port '{}' is not from 1 to 65535", printable(text));
    return static_cast<uint16_t>(port);
}

bool is_host(std::string_view host) {
    if (Address::parse(host)) return true;
    if (host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-')
        return false;
    // What looks like a number is no name: resolvers read 0x7f.1 or 2130706433 as an address.
    const std::string_view last = host.substr(host.rfind('.') + 1);
    if (last.empty() || (last.front() >= '0' && last.front() <= '9')) return false;
    return std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.';
    });
}

}  // namespace

Result<HttpsUrl> HttpsUrl::parse(std::string_view text) {
    const bool is_plain = std::all_of(text.begin(), text.end(),
                                      [](char c) { return c > ' ' && c < 0x7f && c != '\\'; });
    if (!is_plain || text.size() > kLongest)
        return fail(Code::Invalid, "must be a URL of at most {} ASCII characters", kLongest);
    if (!text.starts_with(kScheme)) return fail(Code::Invalid, "must begin with https://");
    if (text.find('#') != std::string_view::npos)
        return fail(Code::Invalid, "must have no fragment");
    text.remove_prefix(kScheme.size());
    const std::string_view authority = text.substr(0, text.find_first_of("/?"));
    HttpsUrl url;
    url.target = text.substr(authority.size());
    if (!url.target.starts_with('/')) url.target.insert(0, "/");
    std::string_view host = authority;
    const size_t colon = authority.rfind(':');
    if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
        auto port = read_port(authority.substr(colon + 1));
        if (!port) return failed(port.error());
        url.port = *port;
        host = authority.substr(0, colon);
    }
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        if (!Address::parse(host) || Address::parse(host)->is_v4())
            return fail(Code::Invalid, "[{}] is no IPv6 address", printable(host));
    }
    if (!is_host(host)) return fail(Code::Invalid, "'{}' is no host", printable(host));
    url.host = host;
    return url;
}

}  // namespace cvlan::http
