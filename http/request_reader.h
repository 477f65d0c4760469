// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads one request from the bytes of a connection: HeadScanner, then Beast's parser. Costs next to
// nothing before a head is complete, so that an idle connection is cheap. One request a reader.

#include <memory>

#include "http/head_scan.h"
#include "http/message.h"
#include "http/server.h"

struct evbuffer;

namespace cvlan::http {

class RequestReader {
public:
    explicit RequestReader(const Limits& limits);
    RequestReader(RequestReader&&) noexcept;
    RequestReader& operator=(RequestReader&&) noexcept;
    ~RequestReader();

    enum class Step { NeedHead, NeedBody, Done, Refused };
    // Takes from `input` what belongs to this request and leaves what follows it.
    [[nodiscard]] Step read(evbuffer* input);

    const Problem& problem() const { return problem_; }  // when Refused
    // From the end of the head on:
    bool keep_alive() const { return keep_alive_; }
    bool expects_continue() const { return expects_continue_; }
    Request& request() { return request_; }

private:
    struct Parser;
    Step refuse(Problem problem);
    Step read_head(evbuffer* input);
    Step start_body();
    Step read_body(evbuffer* input);

    HeadScanner scanner_;
    uint64_t body_limit_;
    std::unique_ptr<Parser> parser_;
    Request request_;
    Problem problem_;
    bool keep_alive_ = true;
    bool expects_continue_ = false;
};

}  // namespace cvlan::http
