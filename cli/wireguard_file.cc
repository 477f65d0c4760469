// SPDX-License-Identifier: Apache-2.0
#include "cli/wireguard_file.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/ip.h"

namespace cvlan::cli {

namespace {

constexpr std::string_view kInterface = "[Interface]";
constexpr std::string_view kPeer = "[Peer]";

bool are_prefixes(std::string_view list) {
    while (true) {
        const size_t comma = list.find(", ");
        if (!Prefix::parse(list.substr(0, comma))) return false;
        if (comma == std::string_view::npos) return true;
        list.remove_prefix(comma + 2);
    }
}

bool is_number(std::string_view text) {
    uint16_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && stop == end;
}

bool is_key(std::string_view text) {
    const auto bytes = from_base64(text);
    return bytes && bytes->size() == 32;
}

bool is_endpoint(std::string_view text) {
    const auto endpoint = Endpoint::parse(text);
    return endpoint && endpoint->port != 0;
}

struct Setting {
    std::string_view section, key;
    bool (*is_good)(std::string_view value);
};
constexpr Setting kSettings[] = {
    {kInterface, "Address", are_prefixes},
    {kInterface, "MTU", is_number},
    {kPeer, "PublicKey", is_key},
    {kPeer, "AllowedIPs", are_prefixes},
    {kPeer, "PersistentKeepalive", is_number},
    {kPeer, "Endpoint", is_endpoint},
};

// Empty, or what is wrong.
std::string_view fault_of(std::string_view section, std::string_view line) {
    constexpr std::string_view kIs = " = ";
    const size_t at = line.find(kIs);
    if (at == std::string_view::npos) return "is no setting";
    const std::string_view key = line.substr(0, at);
    const auto* known =
        std::find_if(std::begin(kSettings), std::end(kSettings),
                     [&](const Setting& one) { return one.section == section && one.key == key; });
    if (known == std::end(kSettings)) return "has no place there";
    return known->is_good(line.substr(at + kIs.size())) ? "" : "has a value that is none";
}

bool is_comment(std::string_view line) {
    return line.starts_with('#') && is_utf8(line) &&
           std::none_of(line.begin(), line.end(),
                        [](unsigned char c) { return c < ' ' || c == 127; });
}

}  // namespace

Result<size_t> check_wireguard_file(std::string_view text) {
    std::string_view section;
    size_t interface_end = 0;
    int number = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        ++number;
        if (line.empty() || is_comment(line)) continue;
        const bool is_interface = line == kInterface && interface_end == 0;
        if (is_interface) interface_end = std::min(at, text.size());
        if (is_interface || line == kPeer) {
            section = is_interface ? kInterface : kPeer;
            continue;
        }
        if (const auto fault = fault_of(section, line); !fault.empty())
            return fail(Code::Malformed, "the controller's file: line {}: '{}' {}", number,
                        printable(line.substr(0, 100)), fault);
    }
    if (interface_end == 0)
        return fail(Code::Malformed, "the controller's file has no [Interface]");
    return interface_end;
}

}  // namespace cvlan::cli
