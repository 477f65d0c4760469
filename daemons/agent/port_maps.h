// SPDX-License-Identifier: Apache-2.0
#pragma once

// The ports of this machine's devices, mapped at the IPv4 gateway: one reach::PortMapper each. Loop
// thread only. Ending it leaves the mappings, as it leaves the tunnels; release() gives them back.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/workers.h"
#include "daemons/agent/underlay.h"
#include "kernel-wg/keys.h"
#include "reach/port_mapper.h"

namespace cvlan::agent {

class PortMaps {
public:
    struct Options {
        bool is_on = true;
        bool with_upnp = false;
        uint16_t server_port = reach::natpmp::kServerPort;  // of the gateway
        uint16_t announce_port = reach::natpmp::kAnnouncePort;
    };
    struct Wanted {
        uint16_t port = 0;
        // What the gateway knows the mapping's owner by comes of it.
        const wg::PrivateKey* key = nullptr;
    };

    PortMaps(EventLoop& loop, const Clock& clock, const Options& options,
             std::function<void()> on_change);

    // The devices and the gateway from now on; of each round. No gateway: nothing is mapped.
    void set(const std::map<std::string, Wanted>& devices, const std::optional<Gateway>& gateway);
    // This machine's addresses are others: all is asked anew.
    void forget();
    // Asks the gateway to take the mappings away: for the end of the tunnels.
    void release();

    std::optional<Endpoint> external(const std::string& device) const;
    // Of any device: what the gateway is like, for people. Nothing where none is asked.
    std::optional<reach::MappedPort> current() const;

private:
    struct Mapping {
        Gateway gateway;
        uint16_t port = 0;
        std::unique_ptr<reach::PortMapper> mapper;
    };
    void open(const std::string& device, const Wanted& wanted, const Gateway& gateway);

    EventLoop& loop_;
    const Clock& clock_;
    const Options options_;
    const std::function<void()> on_change_;
    std::unique_ptr<Workers> upnp_;  // outlives the mappers
    std::map<std::string, Mapping> mappings_;
};

}  // namespace cvlan::agent
