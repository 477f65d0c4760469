// SPDX-License-Identifier: Apache-2.0
#pragma once

// A UDP socket of one family and port on all addresses, that reads and answers many datagrams a
// call, each answer from the address that was asked. Loop thread only.

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace cvlan::relay {

// What all sockets of a loop use in turn: a batch of datagrams and of their answers.
struct Datagrams {
    static constexpr size_t kBatch = 32;
    static constexpr size_t kMost =
        1280;  // no message of ours is longer; the rest of one is cut off
    struct One {
        std::array<uint8_t, kMost> bytes;
        std::array<uint8_t, kMost> answer;
        sockaddr_storage peer;
        alignas(cmsghdr) std::array<uint8_t, 64> control;
    };
    std::array<One, kBatch> all;
};

class UdpSocket {
public:
    class Handler {
    public:
        // Returns the size of the answer that it wrote to `answer`; 0: none. `to` is our address,
        // as the machine knows it.
        virtual size_t on_datagram(ByteView datagram, const Endpoint& from, const Endpoint& to,
                                   std::span<uint8_t> answer) = 0;

    protected:
        ~Handler() = default;
    };
    // Port 0 takes a free one.
    static Result<std::unique_ptr<UdpSocket>> open(EventLoop& loop, Datagrams& shared,
                                                   Handler& handler, const Endpoint& at);
    uint16_t port() const { return port_; }

private:
    UdpSocket(Datagrams& shared, Handler& handler, UniqueFd fd, uint16_t port)
        : shared_(shared), handler_(handler), fd_(std::move(fd)), port_(port) {}
    void read_some();

    Datagrams& shared_;
    Handler& handler_;
    UniqueFd fd_;
    uint16_t port_;
    Watch readable_;
};

}  // namespace cvlan::relay
