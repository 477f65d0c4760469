// SPDX-License-Identifier: Apache-2.0
#pragma once

// A connection of a load balancer until its PROXY header is read: takes from the socket exactly
// those bytes, so that TLS finds its own. `done` is called once, from the loop; it may destroy the
// gate, which then has given its socket away.

#include <chrono>
#include <functional>
#include <string>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "http/proxy_header.h"

namespace cvlan::http {

class ProxyGate {
public:
    struct Passed {
        UniqueFd fd;
        std::optional<Endpoint> client{};  // as ProxyHeader::client
    };
    // Denied: what came is no good header. Unavailable: the balancer left before it was whole, or
    // sent nothing of it within `limit`.
    using Done = std::function<void(Result<Passed>)>;

    ProxyGate(EventLoop& loop, UniqueFd fd, std::chrono::milliseconds limit, Done done);

private:
    void read_on();
    void end(Result<Passed> outcome);

    UniqueFd fd_;
    Done done_;
    std::string header_;  // what was taken from the socket; all of it is the header's
    Watch readable_;
    Timer deadline_;
};

}  // namespace cvlan::http
