// SPDX-License-Identifier: Apache-2.0
#include "relay/welcome.h"

#include <strings.h>

#include <algorithm>
#include <string_view>

#include "relay/websocket.h"

namespace cvlan::relay {

namespace {

bool is_same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// One of the tokens of a list (RFC 9110 section 5.6.1), over all headers of this name.
bool has_token(const http::Headers& headers, std::string_view name, std::string_view token) {
    return std::any_of(headers.begin(), headers.end(), [&](const http::Header& header) {
        std::string_view rest = is_same(header.name, name) ? header.value : std::string_view();
        while (!rest.empty()) {
            const size_t comma = std::min(rest.find(','), rest.size());
            std::string_view one = rest.substr(0, comma);
            rest.remove_prefix(std::min(comma + 1, rest.size()));
            const size_t first = one.find_first_not_of(" \t");
            if (first == std::string_view::npos) continue;
            one = one.substr(first, one.find_last_not_of(" \t") - first + 1);
            if (is_same(one, token)) return true;
        }
        return false;
    });
}

http::Problem bad(const char* why) { return {400, "BAD_UPGRADE", why}; }

}  // namespace

tl::expected<Welcome, http::Problem> welcome(const http::Request& request) {
    if (request.path != kPath)
        return tl::unexpected(http::Problem{404, "NOT_FOUND", "there is nothing here"});
    if (request.method != "GET")
        return tl::unexpected(http::Problem{405, "METHOD_NOT_ALLOWED", "GET alone"});
    if (!request.body.empty()) return tl::unexpected(bad("an upgrade has no body"));
    const bool is_plain = has_token(request.headers, "Upgrade", kProtocol);
    const bool is_websocket = !is_plain && has_token(request.headers, "Upgrade", "websocket");
    if (!has_token(request.headers, "Connection", "upgrade") || (!is_plain && !is_websocket))
        return tl::unexpected(
            http::Problem{426, "UPGRADE_REQUIRED", "Upgrade: cvlan-relay, or websocket"});
    Welcome yes;
    yes.is_websocket = is_websocket;
    yes.head.status = 101;
    yes.head.headers = {{"Connection", "Upgrade"},
                        {"Upgrade", is_websocket ? "websocket" : kProtocol}};
    if (!is_websocket) return yes;
    // RFC 6455 section 4.2.1.
    const std::string* version = request.header("Sec-WebSocket-Version");
    const std::string* key = request.header("Sec-WebSocket-Key");
    if (!version || *version != "13")
        return tl::unexpected(
            http::Problem{426, "UPGRADE_REQUIRED", "Sec-WebSocket-Version must be 13"});
    if (!key || !is_websocket_key(*key))
        return tl::unexpected(bad("Sec-WebSocket-Key must be 16 bytes in base64"));
    if (!has_token(request.headers, "Sec-WebSocket-Protocol", kSubprotocol))
        return tl::unexpected(bad("Sec-WebSocket-Protocol must have cvlan-relay"));
    yes.head.headers.push_back({"Sec-WebSocket-Accept", websocket_accept(*key)});
    yes.head.headers.push_back({"Sec-WebSocket-Protocol", std::string(kSubprotocol)});
    return yes;
}

}  // namespace cvlan::relay
