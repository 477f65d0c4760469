// SPDX-License-Identifier: Apache-2.0
#pragma once

// /metrics, /health and /ready of an agent (http/own_pages.h). Whoever has an account on this
// machine can hold the port, and is to keep no tunnel down by it: where it is taken the agent goes
// on and tries again. Loop thread only.

#include <chrono>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "http/own_pages.h"

namespace cvlan::agent {

class Pages {
public:
    Pages(EventLoop& loop, const Endpoint& at, http::OwnPages pages,
          std::chrono::milliseconds again = std::chrono::seconds(10));

    // Empty while they are served.
    const std::string& trouble() const { return trouble_; }

private:
    void listen();

    EventLoop& loop_;
    const Endpoint at_;
    const http::OwnPages pages_;
    const std::chrono::milliseconds again_;
    std::unique_ptr<http::Server> server_;
    std::string trouble_;
    Timer next_;
};

}  // namespace cvlan::agent
