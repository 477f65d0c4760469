// SPDX-License-Identifier: Apache-2.0
#pragma once

// STUN from and to the UDP port on which the kernel's WireGuard listens, beside it: a raw socket
// sends with our own UDP header, and receives what a BPF filter lets through, which is datagrams to
// that port with STUN's magic cookie. No packet of WireGuard comes to user space; WireGuard gets
// the STUN packets too and drops them by their first byte (its message types are 1 to 4).
//
// One socket a family, of the network namespace that it was opened in, on one thread. Needs
// CAP_NET_RAW, and CAP_NET_ADMIN for the mark: what is sent stays off our own routes, as
// WireGuard's packets do.

#include <cstdint>
#include <functional>
#include <optional>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "netlink/netns.h"
#include "reach/udp_packet.h"

namespace cvlan::reach {

class RawUdp {
public:
    struct Place {
        Family family = Family::V4;
        uint16_t port = 0;
        uint32_t mark = 0;
    };
    // Code::Denied without the capabilities, Unsupported where the kernel lacks the family.
    static Result<RawUdp> open(const netlink::NetnsFd& netns, const Place& place);

    int fd() const { return fd_.get(); }  // readable when receive() has something
    const Place& place() const { return place_; }

    struct Outgoing {
        Endpoint to;
        std::optional<Address> source{};  // the answer to what came to it; else the route's
        ByteView payload{};
        bool is_whole = false;  // never in fragments: EMSGSIZE where the path is known too narrow
    };
    // Never waits: what the kernel can not take now is lost, as on the network.
    Result<void> send(const Outgoing& datagram);

    struct Incoming {
        Endpoint from;
        Address to;
        ByteView payload;  // only while `each` runs
    };
    // Takes what waits, at most kBatch, so that a flood can not hold the loop; true if there is
    // more. What is no datagram to this port with the cookie is left out.
    bool receive(const std::function<void(const Incoming&)>& each);
    static constexpr int kBatch = 64;

private:
    RawUdp(const Place& place, UniqueFd fd, UniqueFd route)
        : place_(place), fd_(std::move(fd)), route_(std::move(route)) {}
    Result<Address> source_for(const Endpoint& to);

    Place place_;
    UniqueFd fd_;
    UniqueFd route_;  // never sends: the kernel is asked by it which source a packet would have
};

}  // namespace cvlan::reach
