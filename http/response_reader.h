// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads one response: Beast's parser, interim answers (1xx) skipped, and a body only with a length
// of its own, so that a cut connection is never a short answer. One response a reader.

#include <memory>

#include "base/result.h"
#include "http/message.h"

struct evbuffer;

namespace cvlan::http {

struct ResponseExpectation {
    bool to_head = false;  // the answer to HEAD has no body, whatever its length says
    size_t body_bytes = 16 * 1024 * 1024;
    bool upgrade = false;  // 101 is an answer, and what follows its head is left alone
};

class ResponseReader {
public:
    explicit ResponseReader(ResponseExpectation expected);
    ResponseReader(ResponseReader&&) noexcept;
    ResponseReader& operator=(ResponseReader&&) noexcept;
    ~ResponseReader();

    // True when the response is whole; false: more bytes are needed.
    Result<bool> read(evbuffer* input);

    Response take();
    bool keep_alive() const { return keep_alive_; }
    bool has_begun() const { return has_begun_; }

private:
    struct Parser;
    void restart();
    Result<void> check_head();

    ResponseExpectation expected_;
    std::unique_ptr<Parser> parser_;
    bool head_checked_ = false;
    bool has_begun_ = false;
    bool keep_alive_ = false;
};

}  // namespace cvlan::http
