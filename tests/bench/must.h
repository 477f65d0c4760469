// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the benches that ask a controller have in common: whatever fails ends them.

#include <errno.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/event_loop.h"
#include "http/client.h"

namespace cvlan::bench {

template <class T>
T must(Result<T> result, const char* what) {
    if (result) return std::move(*result);
    fmt::print(stderr, "{}: {}: {}\n", program_invocation_short_name, what, result.error().message);
    std::exit(1);
}

inline http::Response ask(EventLoop& loop, http::Client& client, http::ClientRequest request) {
    std::optional<Result<http::Response>> answer;
    client.request(std::move(request), [&](Result<http::Response> got) {
        answer = std::move(got);
        loop.stop();
    });
    if (!answer) loop.run();
    return must(std::move(*answer), "request");
}

}  // namespace cvlan::bench
