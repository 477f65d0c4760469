// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel's WireGuard sees of a relay's TLS: one UDP socket on lo, at which each peer has
// an address of its own in 127.128.0.0/9. What a device of ours sends to such an address is given
// to on_packet, and what deliver() takes comes to the device from there, as from any endpoint. So
// do STUN's path checks, which leave from the same port.
//
// Nobody else on the machine can put a packet in: it must come from 127.0.0.1 and the very port on
// which the peer's device listens, and no other socket can have that port while the kernel's has.
// What comes in reaches WireGuard, which trusts nobody. A peer's address comes of its key, and the
// port can be had again, so that after a restart the kernel's endpoints still hold. Loop thread
// only.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "daemons/agent/relay_seam.h"

namespace cvlan::agent {

class Loopback {
public:
    // `packet` is valid during the call.
    using OnPacket = std::function<void(const PathKey& peer, ByteView packet)>;
    // In the network namespace of the calling thread. At `preferred`, unless that is 0 or taken.
    static Result<std::unique_ptr<Loopback>> open(EventLoop& loop, OnPacket on_packet,
                                                  uint16_t preferred = 0);
    ~Loopback();
    uint16_t port() const { return port_; }

    // Where this peer is from now on; again the same until remove(). `port` is its device's.
    Endpoint add(const PathKey& peer, uint16_t port);
    void remove(const PathKey& peer);
    // The address is one that peers have here, or had.
    static bool has(const Address& address);

    // To the peer's device. It leaves with others of this turn of the loop; what the kernel can not
    // take is lost, as on the network.
    void deliver(const PathKey& peer, ByteView packet);

    struct Stats {
        uint64_t sent = 0;
        uint64_t received = 0;
        uint64_t refused = 0;  // of a stranger
    };
    const Stats& stats() const { return stats_; }

private:
    struct Batch;
    struct Place {
        PathKey peer;
        uint16_t port = 0;
    };
    struct Waiting {
        uint32_t from = 0;
        uint16_t port = 0;
        size_t at = 0, size = 0;  // in waiting_bytes_
    };
    Loopback(EventLoop& loop, UniqueFd fd, uint16_t port, OnPacket on_packet);
    void receive();
    void took(uint32_t source, uint16_t source_port, uint32_t to, ByteView packet);
    void flush();
    void send(size_t first, size_t count);

    EventLoop& loop_;
    UniqueFd fd_;
    uint16_t port_;
    OnPacket on_packet_;
    std::map<uint32_t, Place> places_;  // by address, in the host's order
    std::map<PathKey, uint32_t> address_of_;
    std::unique_ptr<Batch> batch_;
    std::vector<Waiting> waiting_;
    Bytes waiting_bytes_;
    Stats stats_;
    Watch readable_;
    Timer flush_;
};

}  // namespace cvlan::agent
