// SPDX-License-Identifier: Apache-2.0
#include "http/request_reader.h"

#include <event2/buffer.h>

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <utility>

namespace cvlan::http {
namespace {

namespace beast = boost::beast;
using BeastParser = beast::http::request_parser<beast::http::string_body>;

// The most that is looked at in one piece. Also the longest chunk head or trailer.
constexpr size_t kWindow = size_t{16} * 1024;

// "0\r\n\r\n": no end of a chunked body is shorter.
constexpr size_t kShortestTail = 5;

Problem bad(std::string_view detail) { return {400, "BAD_REQUEST", std::string(detail)}; }

}  // namespace

struct RequestReader::Parser {
    BeastParser beast;
    bool is_stalled = false;  // it took nothing of what there was
};

RequestReader::RequestReader(const Limits& limits)
    : scanner_({limits.head_bytes, limits.header_count, limits.target_bytes}),
      body_limit_(limits.body_bytes) {}
RequestReader::RequestReader(RequestReader&&) noexcept = default;
RequestReader& RequestReader::operator=(RequestReader&&) noexcept = default;
RequestReader::~RequestReader() = default;

RequestReader::Step RequestReader::refuse(Problem problem) {
    problem_ = std::move(problem);
    return Step::Refused;
}

RequestReader::Step RequestReader::read(evbuffer* input) {
    if (parser_) return read_body(input);
    return read_head(input);
}

RequestReader::Step RequestReader::read_head(evbuffer* input) {
    const size_t have = evbuffer_get_length(input);
    if (have == 0) return Step::NeedHead;
    // A chain of libevent's holds at least what one read brought; a head is moved at most log n
    // times.
    const auto* bytes = reinterpret_cast<const char*>(evbuffer_pullup(input, -1));
    const auto verdict = scanner_.scan({bytes, have});
    if (verdict == HeadScanner::Verdict::NeedMore) return Step::NeedHead;
    if (verdict == HeadScanner::Verdict::Refused) return refuse(scanner_.problem());

    parser_ = std::make_unique<Parser>();
    parser_->beast.header_limit(static_cast<uint32_t>(scanner_.length() + 1));
    parser_->beast.body_limit(body_limit_);
    beast::error_code error;
    parser_->beast.put({bytes, scanner_.length()}, error);
    evbuffer_drain(input, scanner_.length());
    if (error == beast::http::error::body_limit)
        return refuse({413, "BODY_TOO_LARGE", "the body is too large"});
    if (error || !parser_->beast.is_header_done()) return refuse(bad("malformed head"));
    if (const auto step = start_body(); step != Step::NeedBody) return step;
    return read_body(input);
}

// Takes the head over now: Beast adds trailers to the same fields, and those must not count.
RequestReader::Step RequestReader::start_body() {
    const auto& head = parser_->beast.get();
    request_.method = std::string(head.method_string());
    const std::string_view target(head.target().data(), head.target().size());
    const size_t mark = target.find('?');
    request_.path = std::string(target.substr(0, mark));
    if (mark != std::string_view::npos) request_.query = std::string(target.substr(mark + 1));
    for (const auto& field : head)
        request_.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    keep_alive_ = parser_->beast.keep_alive();
    if (const auto* expected = request_.header("Expect")) {
        if (!beast::iequals(*expected, "100-continue"))
            return refuse({417, "EXPECTATION_FAILED", "unknown expectation"});
        expects_continue_ = !parser_->beast.is_done();
    }
    parser_->beast.eager(true);
    return Step::NeedBody;
}

RequestReader::Step RequestReader::read_body(evbuffer* input) {
    auto& parser = parser_->beast;
    while (!parser.is_done()) {
        const size_t have = std::min(evbuffer_get_length(input), kWindow);
        if (have == 0) return Step::NeedBody;
        expects_continue_ = false;
        // Beast 1.81 asserts when the last chunk comes in pieces below this (its #2861).
        if (parser_->is_stalled && have < kShortestTail) return Step::NeedBody;
        const auto* bytes = evbuffer_pullup(input, static_cast<ev_ssize_t>(have));
        beast::error_code error;
        const size_t used = parser.put({bytes, have}, error);
        evbuffer_drain(input, used);
        if (error == beast::http::error::body_limit)
            return refuse({413, "BODY_TOO_LARGE", "the body is too large"});
        if (error && error != beast::http::error::need_more) return refuse(bad("malformed body"));
        parser_->is_stalled = used == 0;
        if (used > 0) continue;
        if (have == kWindow) return refuse(bad("chunk head or trailer too long"));
        return Step::NeedBody;
    }
    request_.body = std::move(parser.get().body());
    parser_.reset();
    return Step::Done;
}

}  // namespace cvlan::http
