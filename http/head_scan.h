// SPDX-License-Identifier: Apache-2.0
#pragma once

// The gate before Beast's parser: looks at the raw head of a request and refuses whatever two
// parsers could read in two ways (RFC 9112 sections 2.2, 3, 5, 6 and 11.2). What it lets pass has
// exactly one reading. tests/data/http_smuggling.txt holds the cases.

#include <cstddef>
#include <string_view>

#include "http/message.h"

namespace cvlan::http {

// RFC 9110 section 5.6.2 (token) and 5.5; a target in origin form or "*", without fragment.
bool is_header_name(std::string_view text);
bool is_header_value(std::string_view text);
bool is_target(std::string_view text);

struct HeadLimits {
    size_t bytes;
    size_t headers;
    size_t target_bytes;
};

class HeadScanner {
public:
    explicit HeadScanner(const HeadLimits& limits) : limits_(limits) {}

    enum class Verdict { Refused, NeedMore, Complete };
    // `received` is all that has come so far, from the first byte of the head. Bytes which an
    // earlier call has looked at are not looked at again.
    [[nodiscard]] Verdict scan(std::string_view received);

    size_t length() const { return length_; }  // of the head with its empty line, when Complete
    const Problem& problem() const { return problem_; }  // when Refused

private:
    Verdict refuse(int status, std::string_view code, std::string_view detail);
    Verdict check_line_so_far(std::string_view received);
    Verdict check_head(std::string_view head);
    Verdict check_request_line(std::string_view line);
    Verdict check_header(std::string_view line);
    Verdict check_known(std::string_view name, std::string_view value);
    Verdict check_sums();

    HeadLimits limits_;
    size_t seen_ = 0;
    size_t lines_ = 0;
    size_t length_ = 0;
    size_t hosts_ = 0;
    size_t lengths_ = 0;
    size_t encodings_ = 0;
    Problem problem_;
};

}  // namespace cvlan::http
