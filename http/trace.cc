// SPDX-License-Identifier: Apache-2.0
#include "http/trace.h"

#include <strings.h>

#include <algorithm>

namespace cvlan::http {

namespace {

constexpr size_t kLength = 2 + 1 + 32 + 1 + 16 + 1 + 2;

bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) {
    return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::optional<std::string> parse_traceparent(std::string_view header) {
    if (header.size() < kLength) return std::nullopt;
    if (header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
    const std::string_view version = header.substr(0, 2);
    const std::string_view trace = header.substr(3, 32);
    const std::string_view parent = header.substr(36, 16);
    const std::string_view flags = header.substr(53, 2);
    if (!is_hex(version) || !is_hex(trace) || !is_hex(parent) || !is_hex(flags))
        return std::nullopt;
    if (version == "ff" || is_zero(trace) || is_zero(parent)) return std::nullopt;
    const bool may_go_on = version != "00" && header[std::min(kLength, header.size() - 1)] == '-';
    if (header.size() > kLength && !may_go_on) return std::nullopt;
    return std::string(trace);
}

std::string trace_id_of(const Headers& headers, std::string_view request_id) {
    const Header* sent = nullptr;
    size_t count = 0;
    for (const Header& header : headers) {
        if (strcasecmp(header.name.c_str(), "traceparent") != 0) continue;
        sent = &header;
        ++count;
    }
    if (count == 1)
        if (auto trace = parse_traceparent(sent->value)) return *trace;
    std::string digits(request_id);
    digits.erase(std::remove(digits.begin(), digits.end(), '-'), digits.end());
    return digits;
}

}  // namespace cvlan::http
