// SPDX-License-Identifier: Apache-2.0
#include "relay/udp_socket.h"

#include <netinet/in.h>

#include <cerrno>
#include <cstring>

namespace cvlan::relay {

namespace {

// Of a flood, the others of the loop have their turn after so many.
constexpr int kBatchesATurn = 4;

Result<void> set_options(int fd, const Address& address) {
    const int on = 1;
    const int buffer = 1 << 20;
    const bool is_v4 = address.is_v4();
    const int level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
    // Which address was asked: a host has several, and an answer from another is nobody's.
    if ((!is_v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        setsockopt(fd, level, is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof on) != 0)
        return failed(errno_error("UDP socket"));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    // Answers are small; a path that is smaller is none that WireGuard can use.
    const int no_discovery = is_v4 ? int{IP_PMTUDISC_DONT} : int{IPV6_PMTUDISC_DONT};
    (void)setsockopt(fd, level, is_v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &no_discovery,
                     sizeof no_discovery);
    return {};
}

// Makes the control message of a datagram that came one of its answer: the address that was asked
// becomes the source, and the route decides about the device. Returns that address.
Address turn_around(msghdr& message) {
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
        if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
            in_pktinfo asked;
            std::memcpy(&asked, CMSG_DATA(one), sizeof asked);
            asked.ipi_spec_dst = asked.ipi_addr;
            asked.ipi_ifindex = 0;
            std::memcpy(CMSG_DATA(one), &asked, sizeof asked);
            const auto* bytes = reinterpret_cast<const uint8_t*>(&asked.ipi_addr);
            return Address::from_bytes({bytes, 4}).value_or(Address());
        }
        if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
            in6_pktinfo asked;
            std::memcpy(&asked, CMSG_DATA(one), sizeof asked);
            if (!IN6_IS_ADDR_LINKLOCAL(&asked.ipi6_addr)) asked.ipi6_ifindex = 0;
            std::memcpy(CMSG_DATA(one), &asked, sizeof asked);
            return Address::from_bytes({asked.ipi6_addr.s6_addr, 16}).value_or(Address());
        }
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(EventLoop& loop, Datagrams& shared,
                                                   Handler& handler, const Endpoint& at) {
    const std::string doing = fmt::format("listen on UDP {}", at.text());
    UniqueFd fd(socket(at.address.af(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return failed(errno_error(doing));
    if (auto set = set_options(fd.get(), at.address); !set)
        return failed(set.error().while_doing(doing));
    sockaddr_storage storage{};
    socklen_t size = at.to_sockaddr(storage);
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    if (bind(fd.get(), address, size) != 0) {
        Error error = errno_error(doing);
        if (errno == EADDRINUSE) error.code = Code::Conflict;
        return failed(std::move(error));
    }
    if (getsockname(fd.get(), address, &size) != 0) return failed(errno_error(doing));
    auto bound = Endpoint::from_sockaddr(address, size);
    if (!bound) return failed(bound.error());
    std::unique_ptr<UdpSocket> made(new UdpSocket(shared, handler, std::move(fd), bound->port));
    made->readable_ = loop.on_readable(made->fd_.get(), [self = made.get()] { self->read_some(); });
    return made;
}

void UdpSocket::read_some() {
    std::array<mmsghdr, Datagrams::kBatch> messages;
    std::array<iovec, Datagrams::kBatch> parts;
    for (int batch = 0; batch < kBatchesATurn; ++batch) {
        for (size_t i = 0; i < messages.size(); ++i) {
            auto& one = shared_.all[i];
            parts[i] = {one.bytes.data(), one.bytes.size()};
            messages[i] = {};
            messages[i].msg_hdr = {&one.peer,          sizeof one.peer,    &parts[i], 1,
                                   one.control.data(), one.control.size(), 0};
        }
        const int got =
            recvmmsg(fd_.get(), messages.data(), messages.size(), MSG_DONTWAIT, nullptr);
        if (got <= 0) return;
        unsigned answers = 0;
        for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
            msghdr& message = messages[i].msg_hdr;
            auto& one = shared_.all[i];
            const auto from = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&one.peer),
                                                      message.msg_namelen);
            if (!from || (message.msg_flags & MSG_TRUNC) != 0) continue;
            const ByteView datagram(one.bytes.data(), messages[i].msg_len);
            const Endpoint to{turn_around(message), port_};
            const size_t size = handler_.on_datagram(datagram, *from, to, one.answer);
            // Whatever the handler thinks: nobody gets more bytes than were sent in its name (T15).
            if (size == 0 || size > datagram.size()) continue;
            parts[i] = {one.answer.data(), size};
            messages[answers++] = messages[i];
        }
        // What the kernel does not take is lost, as on any network.
        if (answers > 0) (void)sendmmsg(fd_.get(), messages.data(), answers, MSG_DONTWAIT);
        if (static_cast<size_t>(got) < messages.size()) return;
    }
}

}  // namespace cvlan::relay
