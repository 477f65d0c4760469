// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>

#include "base/bytes.h"

namespace cvlan::http {
namespace {

struct Reason {
    int status;
    std::string_view text;
};

// RFC 9110 section 15, RFC 6585, and nothing that we do not send or meet.
constexpr Reason kReasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

// printable() leaves no control character, so that these two are all that JSON needs.
std::string json_text(std::string_view text) {
    std::string out;
    for (char c : printable(text)) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

}  // namespace

const std::string* find(const Headers& headers, std::string_view name) {
    const auto same = [&](const Header& header) {
        return header.name.size() == name.size() &&
               strncasecmp(header.name.data(), name.data(), name.size()) == 0;
    };
    const auto found = std::find_if(headers.begin(), headers.end(), same);
    return found == headers.end() ? nullptr : &found->value;
}

std::string_view reason(int status) {
    for (const auto& known : kReasons)
        if (known.status == status) return known.text;
    return "";
}

Response problem(const Problem& problem, std::string_view request_id) {
    Response response{.status = problem.status, .content_type = "application/problem+json"};
    response.body = fmt::format(
        R"({{"type":"about:blank","title":"{}","status":{},"code":"{}","detail":"{}","requestId":"{}"}})",
        reason(problem.status), problem.status, json_text(problem.code), json_text(problem.detail),
        json_text(request_id));
    return response;
}

}  // namespace cvlan::http
