// SPDX-License-Identifier: Apache-2.0
#include "http/encode.h"

#include <algorithm>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/serializer.hpp>
#include <ctime>

#include "base/version.h"
#include "http/head_scan.h"

namespace cvlan::http {
namespace {

namespace beast = boost::beast;

// RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date() {
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday,
                       kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                       utc.tm_sec);
}

Result<void> add_headers(beast::http::fields& fields, const Headers& headers) {
    for (const auto& header : headers) {
        if (!is_header_name(header.name) || !is_header_value(header.value))
            return fail(Code::Invalid, "header '{}' can not be sent", header.name);
        fields.insert(header.name, header.value);
    }
    return {};
}

template <bool isRequest>
std::string serialized(beast::http::message<isRequest, beast::http::empty_body>& message) {
    beast::http::serializer<isRequest, beast::http::empty_body> serializer(message);
    serializer.split(true);
    std::string out;
    beast::error_code error;
    serializer.next(error, [&](beast::error_code&, const auto& buffers) {
        out = beast::buffers_to_string(buffers);
    });
    return out;
}

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
    beast::http::response<beast::http::empty_body> message;
    message.version(11);
    message.result(static_cast<unsigned>(response.status));
    const std::string_view phrase = reason(response.status);
    message.reason({phrase.data(), phrase.size()});
    Headers ours{{"Date", http_date()},
                 {"X-Request-Id", std::string(framing.request_id)},
                 {"X-Content-Type-Options", "nosniff"}};
    if (!response.content_type.empty()) ours.push_back({"Content-Type", response.content_type});
    if (!has_no_body(response.status))
        ours.push_back({"Content-Length", fmt::format("{}", body_bytes(response))});
    if (framing.close) ours.push_back({"Connection", "close"});
    if (auto done = add_headers(message, ours); !done) return failed(done.error());
    if (auto done = add_headers(message, response.headers); !done) return failed(done.error());
    return serialized(message);
}

Result<std::string> encode_head(const ClientRequest& request, std::string_view host) {
    if (!is_header_name(request.method)) return fail(Code::Invalid, "no method");
    if (!is_target(request.target))
        return fail(Code::Invalid, "target '{}' can not be sent", request.target);
    beast::http::request<beast::http::empty_body> message;
    message.version(11);
    message.method_string(request.method);
    message.target(request.target);
    Headers ours{{"Host", std::string(host)}, {"User-Agent", fmt::format("cvlan/{}", kVersion)}};
    // RFC 9110 section 8.6: a method that means a body says so even when it is empty.
    const bool bodiless = request.method == "GET" || request.method == "HEAD";
    if (!request.body.empty() || !bodiless)
        ours.push_back({"Content-Length", fmt::format("{}", request.body.size())});
    if (auto done = add_headers(message, ours); !done) return failed(done.error());
    if (auto done = add_headers(message, request.headers); !done) return failed(done.error());
    return serialized(message);
}

}  // namespace cvlan::http
