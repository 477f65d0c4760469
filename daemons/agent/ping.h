// SPDX-License-Identifier: Apache-2.0
#pragma once

// One ICMP echo to a peer's overlay address, on the loop: a raw socket (CAP_NET_RAW), or the
// kernel's ping socket where there is none. It leaves by the network's own device.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"

namespace cvlan::agent {

class Ping {
public:
    struct Target {
        Address address;
        std::string device;
        std::string netns{};  // the name of the device's namespace; empty: the program's own
        std::chrono::milliseconds timeout{1000};
    };
    // The round trip, or nothing if none came back in time.
    using Done = std::function<void(std::optional<std::chrono::microseconds>)>;

    // `done` runs once, on the loop, never within start(); it may destroy the Ping.
    static Result<std::unique_ptr<Ping>> start(EventLoop& loop, const Target& target, Done done);
    ~Ping();

    struct State;
    explicit Ping(std::unique_ptr<State> state);

private:
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::agent
