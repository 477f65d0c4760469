// SPDX-License-Identifier: Apache-2.0
#pragma once

// One request over a connection of its own, and its answer; the loop runs meanwhile.

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "base/event_loop.h"
#include "http/client.h"

namespace cvlan::controller {

inline http::Response ask(EventLoop& loop, http::ClientOptions options,
                          http::ClientRequest request) {
    auto client = http::Client::open(loop, std::move(options));
    EXPECT_TRUE(client) << client.error().message;
    std::optional<http::Response> answer;
    (*client)->request(std::move(request), [&](Result<http::Response> got) {
        EXPECT_TRUE(got) << got.error().message;
        answer = got.value_or(http::Response{});
        loop.stop();
    });
    loop.run();
    return answer.value_or(http::Response{});
}

}  // namespace cvlan::controller
