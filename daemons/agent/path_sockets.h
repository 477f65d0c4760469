// SPDX-License-Identifier: Apache-2.0
#pragma once

// STUN from and to the WireGuard port of each device of ours: the one seam between what finds paths
// and the network. Two implementations: KernelSockets, of raw sockets, and the one of the tests.
// Loop thread only.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "netlink/netns.h"
#include "reach/raw_udp.h"

namespace cvlan::agent {

class PathSockets {
public:
    using Came =
        std::function<void(const std::string& device, const reach::RawUdp::Incoming& datagram)>;

    virtual ~PathSockets() = default;

    // Whom to tell of what comes. Never from within set() or send().
    virtual void set_receiver(Came came) = 0;
    // The devices from now on, with their ports. What can not be opened is tried again at the next
    // call.
    virtual void set(const std::map<std::string, uint16_t>& ports) = 0;
    // False: it did not leave.
    virtual bool send(const std::string& device, const reach::RawUdp::Outgoing& datagram) = 0;
    // Why nothing can be sent or received, for people; empty: all is well.
    virtual std::string trouble() const = 0;
};

class KernelSockets final : public PathSockets {
public:
    KernelSockets(EventLoop& loop, netlink::NetnsFd netns)
        : loop_(loop), netns_(std::move(netns)) {}

    void set_receiver(Came came) override { came_ = std::move(came); }
    void set(const std::map<std::string, uint16_t>& ports) override;
    bool send(const std::string& device, const reach::RawUdp::Outgoing& datagram) override;
    std::string trouble() const override { return trouble_; }

private:
    struct Open {
        std::unique_ptr<reach::RawUdp> socket;
        Watch watch;
    };
    using Key = std::pair<std::string, Family>;
    void open(const Key& key, uint16_t port);
    void receive(const Key& key);

    EventLoop& loop_;
    netlink::NetnsFd netns_;
    Came came_;
    std::map<Key, Open> open_;
    std::string trouble_;
};

}  // namespace cvlan::agent
