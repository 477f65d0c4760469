// SPDX-License-Identifier: Apache-2.0
#include "http/response_reader.h"

#include <event2/buffer.h>

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <utility>

namespace cvlan::http {
namespace {

namespace beast = boost::beast;
using BeastParser = beast::http::response_parser<beast::http::string_body>;

constexpr uint32_t kHeadBytes = 16 * 1024;
constexpr size_t kWindow = size_t{64} * 1024;
constexpr size_t kShortestTail = 5;  // "0\r\n\r\n"

}  // namespace

struct ResponseReader::Parser {
    BeastParser beast;
    Headers headers;
    bool is_stalled = false;  // it took nothing of what there was
};

ResponseReader::ResponseReader(ResponseExpectation expected) : expected_(expected) { restart(); }
ResponseReader::ResponseReader(ResponseReader&&) noexcept = default;
ResponseReader& ResponseReader::operator=(ResponseReader&&) noexcept = default;
ResponseReader::~ResponseReader() = default;

void ResponseReader::restart() {
    parser_ = std::make_unique<Parser>();
    parser_->beast.header_limit(kHeadBytes);
    parser_->beast.body_limit(expected_.body_bytes);
    parser_->beast.skip(expected_.to_head);
    head_checked_ = false;
}

Result<bool> ResponseReader::read(evbuffer* input) {
    while (true) {
        const size_t have = std::min(evbuffer_get_length(input), kWindow);
        if (have == 0) return false;
        has_begun_ = true;
        // As in request_reader.cc.
        if (parser_->is_stalled && head_checked_ && have < kShortestTail) return false;
        const auto* bytes = evbuffer_pullup(input, static_cast<ev_ssize_t>(have));
        beast::error_code error;
        const size_t used = parser_->beast.put({bytes, have}, error);
        evbuffer_drain(input, used);
        if (error == beast::http::error::body_limit || error == beast::http::error::header_limit)
            return fail(Code::TooLarge, "the answer is too large");
        if (error && error != beast::http::error::need_more)
            return fail(Code::Malformed, "the answer is not HTTP: {}", error.message());
        if (parser_->beast.is_header_done() && !head_checked_)
            if (auto checked = check_head(); !checked) return failed(checked.error());
        if (parser_->beast.is_done()) {
            // RFC 9110 section 15.2: any number of interim answers may come first.
            const unsigned status = parser_->beast.get().result_int();
            if (status >= 200 || status == 101) return true;
            restart();
            continue;
        }
        parser_->is_stalled = used == 0;
        if (used == 0) {
            if (have == kWindow) return fail(Code::Malformed, "chunk head or trailer too long");
            return false;
        }
    }
}

// Runs before any byte of the body is parsed (the parser is not eager yet): trailers are not
// headers.
Result<void> ResponseReader::check_head() {
    auto& parser = parser_->beast;
    const auto& head = parser.get();
    if (head.version() != 11) return fail(Code::Malformed, "the answer is not HTTP/1.1");
    if (head.result_int() == 101 && !expected_.upgrade)
        return fail(Code::Malformed, "the answer switches protocols");
    if (parser.need_eof() && !parser.is_done())
        return fail(Code::Malformed, "the answer has no length");
    const bool has_length = head.find(beast::http::field::content_length) != head.end();
    if (parser.chunked() && has_length)
        return fail(Code::Malformed, "the answer has a length and chunks");
    for (const auto& field : head)
        parser_->headers.push_back({std::string(field.name_string()), std::string(field.value())});
    keep_alive_ = parser.keep_alive();
    parser.eager(true);
    head_checked_ = true;
    return {};
}

Response ResponseReader::take() {
    auto& message = parser_->beast.get();
    Response response{.status = static_cast<int>(message.result_int())};
    response.headers = std::move(parser_->headers);
    if (const auto* type = response.header("Content-Type")) response.content_type = *type;
    response.body = std::move(message.body());
    return response;
}

}  // namespace cvlan::http
