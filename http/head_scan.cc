// SPDX-License-Identifier: Apache-2.0
#include "http/head_scan.h"

#include <strings.h>

#include <algorithm>

namespace cvlan::http {
namespace {

using Verdict = HeadScanner::Verdict;

constexpr size_t kLongestMethod = 32;
constexpr std::string_view kVersion = "HTTP/1.1";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
// RFC 9110 section 5.6.2
bool is_tchar(char c) {
    return is_alnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
// RFC 9110 section 5.5: visible characters, obs-text, space and tab.
bool is_value_char(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}
// What may stand in a target. A fragment does not travel, and a backslash is a slash to some.
bool is_target_char(char c) { return c > 0x20 && c < 0x7f && c != '#' && c != '\\'; }
// RFC 9110 section 7.2, RFC 3986 section 3.2.2 without user information.
bool is_host_char(char c) {
    return is_alnum(c) || std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
}

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_version(std::string_view text) {
    return text.size() == kVersion.size() && text.starts_with("HTTP/") && is_digit(text[5]) &&
           text[6] == '.' && is_digit(text[7]);
}

// The target as far as the request line has come: between its first and second space.
std::string_view target_of(std::string_view line) {
    const size_t start = line.find(' ');
    if (start == std::string_view::npos) return {};
    const std::string_view rest = line.substr(start + 1);
    return rest.substr(0, rest.find(' '));
}

}  // namespace

bool is_header_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_tchar);
}

bool is_header_value(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_value_char);
}

bool is_target(std::string_view text) {
    return (text.starts_with('/') || text == "*") &&
           std::all_of(text.begin(), text.end(), is_target_char);
}

Verdict HeadScanner::refuse(int status, std::string_view code, std::string_view detail) {
    problem_ = {status, std::string(code), std::string(detail)};
    return Verdict::Refused;
}

Verdict HeadScanner::scan(std::string_view received) {
    for (; seen_ < received.size(); ++seen_) {
        const char c = received[seen_];
        if (c == '\0') return refuse(400, "BAD_REQUEST", "NUL in the head");
        const bool after_cr = seen_ > 0 && received[seen_ - 1] == '\r';
        if (c != '\n') {
            if (after_cr) return refuse(400, "BAD_REQUEST", "CR without LF");
            continue;
        }
        if (!after_cr) return refuse(400, "BAD_REQUEST", "LF without CR");
        if (seen_ == 1) return refuse(400, "BAD_REQUEST", "empty line before the request");
        if (received.substr(0, seen_ + 1).ends_with("\r\n\r\n")) {
            length_ = seen_ + 1;
            return check_head(received.substr(0, length_));
        }
        // The request line is one more.
        if (++lines_ > limits_.headers + 1)
            return refuse(431, "HEADERS_TOO_LARGE", "too many headers");
    }
    return check_line_so_far(received);
}

Verdict HeadScanner::check_line_so_far(std::string_view received) {
    if (lines_ == 0) {
        if (target_of(received).size() > limits_.target_bytes)
            return refuse(414, "URI_TOO_LONG", "the request target is too long");
        if (received.size() > kLongestMethod && received.find(' ') > kLongestMethod)
            return refuse(400, "BAD_REQUEST", "no method");
    }
    if (received.size() >= limits_.bytes)
        return refuse(431, "HEADERS_TOO_LARGE", "the head is too long");
    return Verdict::NeedMore;
}

Verdict HeadScanner::check_head(std::string_view head) {
    size_t end = head.find("\r\n");
    if (const auto verdict = check_request_line(head.substr(0, end)); verdict != Verdict::Complete)
        return verdict;
    if (head.size() > limits_.bytes)
        return refuse(431, "HEADERS_TOO_LARGE", "the head is too long");
    for (size_t start = end + 2; start + 2 < head.size(); start = end + 2) {
        end = head.find("\r\n", start);
        const auto verdict = check_header(head.substr(start, end - start));
        if (verdict != Verdict::Complete) return verdict;
    }
    return check_sums();
}

Verdict HeadScanner::check_request_line(std::string_view line) {
    const std::string_view target = target_of(line);
    if (target.size() > limits_.target_bytes)
        return refuse(414, "URI_TOO_LONG", "the request target is too long");
    const std::string_view method = line.substr(0, line.find(' '));
    if (!is_header_name(method) || method.size() > kLongestMethod)
        return refuse(400, "BAD_REQUEST", "no method");
    const size_t used = method.size() + 1 + target.size() + 1;
    const std::string_view version = line.size() < used ? std::string_view() : line.substr(used);
    if (!is_version(version)) return refuse(400, "BAD_REQUEST", "no HTTP version");
    if (version != kVersion)
        return refuse(505, "VERSION_NOT_SUPPORTED", "only HTTP/1.1 is spoken here");
    // Absolute and authority form are for proxies, which this is not.
    if (!is_target(target) || (target == "*" && method != "OPTIONS"))
        return refuse(400, "BAD_REQUEST", "bad request target");
    return Verdict::Complete;
}

Verdict HeadScanner::check_header(std::string_view line) {
    // Covers a line that starts with space or tab (obs-fold) and "Name :".
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_header_name(line.substr(0, colon)))
        return refuse(400, "BAD_REQUEST", "bad header line");
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!is_header_value(value)) return refuse(400, "BAD_REQUEST", "control character in a header");
    return check_known(line.substr(0, colon), value);
}

Verdict HeadScanner::check_known(std::string_view name, std::string_view value) {
    if (same_name(name, "host")) {
        ++hosts_;
        if (value.empty() || !std::all_of(value.begin(), value.end(), is_host_char))
            return refuse(400, "BAD_REQUEST", "bad Host");
    } else if (same_name(name, "content-length")) {
        ++lengths_;
        // 18 digits can not overflow; what is larger than a body may be gets 413 later.
        if (value.empty() || value.size() > 18 ||
            !std::all_of(value.begin(), value.end(), is_digit))
            return refuse(400, "BAD_REQUEST", "bad Content-Length");
    } else if (same_name(name, "transfer-encoding")) {
        ++encodings_;
        if (value != "chunked")
            return refuse(400, "BAD_REQUEST", "Transfer-Encoding other than chunked");
    }
    return Verdict::Complete;
}

Verdict HeadScanner::check_sums() {
    if (hosts_ != 1) return refuse(400, "BAD_REQUEST", "exactly one Host is needed");
    if (lengths_ > 1) return refuse(400, "BAD_REQUEST", "more than one Content-Length");
    if (encodings_ > 1) return refuse(400, "BAD_REQUEST", "more than one Transfer-Encoding");
    if (lengths_ > 0 && encodings_ > 0)
        return refuse(400, "BAD_REQUEST", "both Content-Length and Transfer-Encoding");
    return Verdict::Complete;
}

}  // namespace cvlan::http
