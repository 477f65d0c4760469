// SPDX-License-Identifier: Apache-2.0
#pragma once

// STUN Binding (RFC 8489) for everybody: stateless, nothing is checked but the form, and no answer
// is longer than its question. Requests of pairs go to whom they concern.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "relay/udp_socket.h"
#include "stun/message.h"

namespace cvlan::relay {

struct StunStats {
    uint64_t datagrams = 0;
    uint64_t bindings = 0;  // answered
    uint64_t bytes_in = 0;
    uint64_t bytes_out = 0;
};

class StunServer final : public UdpSocket::Handler {
public:
    // A Bind request: where it came to, and where from. As UdpSocket::Handler.
    using Bind = std::function<size_t(const stun::Message& request, const Endpoint& from,
                                      const Endpoint& to, std::span<uint8_t> answer)>;
    StunServer(EventLoop& loop, Bind bind) : loop_(loop), bind_(std::move(bind)) {}

    // An address of a family: all of it, [::] for IPv6 alone.
    Result<uint16_t> listen(const Endpoint& at);
    // A port of pairs, in each family that the machine has.
    Result<void> open_port(uint16_t port);
    void close_port(uint16_t port);

    const StunStats& stats() const { return stats_; }
    size_t open_ports() const { return ports_.size(); }

private:
    size_t on_datagram(ByteView datagram, const Endpoint& from, const Endpoint& to,
                       std::span<uint8_t> answer) override;

    EventLoop& loop_;
    Bind bind_;
    std::unique_ptr<Datagrams> shared_ = std::make_unique<Datagrams>();
    std::vector<std::unique_ptr<UdpSocket>> listening_;
    std::vector<std::pair<uint16_t, std::unique_ptr<UdpSocket>>> ports_;
    StunStats stats_;
};

}  // namespace cvlan::relay
