// SPDX-License-Identifier: Apache-2.0
#include "reach/raw_udp.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace cvlan::reach {

namespace {

constexpr uint32_t kCookie = 0x2112A442;  // RFC 8489 section 5
constexpr int kReceiveBuffer = 256 * 1024;

// A raw IPv4 socket's filter sees the packet from its IPv4 header on, whose length is in it
// (options); a raw IPv6 socket's from the UDP header on. A load behind the end drops the packet.
Result<void> attach_filter(int fd, const RawUdp::Place& place) {
    const bool is_v4 = place.family == Family::V4;
    const uint16_t load_port = is_v4 ? BPF_LD | BPF_H | BPF_IND : BPF_LD | BPF_H | BPF_ABS;
    const uint16_t load_cookie = is_v4 ? BPF_LD | BPF_W | BPF_IND : BPF_LD | BPF_W | BPF_ABS;
    std::array<sock_filter, 7> filter{{
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(load_port, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, place.port, 0, 3),
        BPF_STMT(load_cookie, kUdpHeadSize + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kCookie, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
    sock_fprog program{};
    program.filter = is_v4 ? filter.data() : filter.data() + 1;
    program.len = static_cast<unsigned short>(filter.size() - (is_v4 ? 0 : 1));
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return failed(errno_error("attach filter"));
    // What came before the filter stood.
    std::array<uint8_t, 1> byte{};
    while (recv(fd, byte.data(), byte.size(), MSG_DONTWAIT | MSG_TRUNC) >= 0) {
    }
    return {};
}

Result<UniqueFd> open_socket(const RawUdp::Place& place, int type, int protocol) {
    const int family = place.family == Family::V4 ? AF_INET : AF_INET6;
    UniqueFd fd(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd && errno == EAFNOSUPPORT)
        return fail(Code::Unsupported, "this kernel has no IPv{}", static_cast<int>(place.family));
    if (!fd) return failed(errno_error("socket"));
    if (place.mark != 0 &&
        setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &place.mark, sizeof place.mark) != 0)
        return failed(errno_error("SO_MARK"));
    return fd;
}

Result<void> prepare(int fd, const RawUdp::Place& place) {
    if (auto attached = attach_filter(fd, place); !attached) return attached;
    const int buffer = kReceiveBuffer;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) != 0)
        return failed(errno_error("SO_RCVBUF"));
    if (place.family == Family::V4) return {};
    const int on = 1;
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) != 0)
        return failed(errno_error("IPV6_RECVPKTINFO"));
    // The kernel computes the checksum over the source address that it chooses, and checks those of
    // what comes. Where in the UDP header it stands:
    const int offset = 6;
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_CHECKSUM, &offset, sizeof offset) != 0)
        return failed(errno_error("IPV6_CHECKSUM"));
    return {};
}

// The destination of a raw socket: its port is in our own header, and IPv6 wants none here.
socklen_t to_raw_sockaddr(const Endpoint& to, sockaddr_storage& storage) {
    return Endpoint{to.address, 0}.to_sockaddr(storage);
}

union Control {
    std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> bytes;
    cmsghdr alignment;
};

// Says which source address the packet has.
void put_source(msghdr& message, Control& control, const Address& source) {
    control.bytes.fill(0);
    message.msg_control = control.bytes.data();
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    if (source.is_v4()) {
        in_pktinfo where{};
        std::memcpy(&where.ipi_spec_dst, source.bytes().data(), 4);
        head->cmsg_level = IPPROTO_IP;
        head->cmsg_type = IP_PKTINFO;
        head->cmsg_len = CMSG_LEN(sizeof where);
        std::memcpy(CMSG_DATA(head), &where, sizeof where);
        message.msg_controllen = CMSG_SPACE(sizeof where);
    } else {
        in6_pktinfo where{};
        std::memcpy(&where.ipi6_addr, source.bytes().data(), 16);
        head->cmsg_level = IPPROTO_IPV6;
        head->cmsg_type = IPV6_PKTINFO;
        head->cmsg_len = CMSG_LEN(sizeof where);
        std::memcpy(CMSG_DATA(head), &where, sizeof where);
    }
}

std::optional<Address> destination_of(msghdr& message) {
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != IPPROTO_IPV6 || head->cmsg_type != IPV6_PKTINFO) continue;
        in6_pktinfo where{};
        std::memcpy(&where, CMSG_DATA(head), sizeof where);
        if (auto address = Address::from_bytes({where.ipi6_addr.s6_addr, 16})) return *address;
    }
    return std::nullopt;
}

struct Came {
    RawUdp::Incoming datagram;
    uint16_t port = 0;  // that it was sent to
};

std::optional<Came> came_by_v4(ByteView bytes) {
    const auto packet = parse_ipv4_udp(bytes);
    if (!packet) return std::nullopt;
    return Came{{{packet->from, packet->udp.source_port}, packet->to, packet->udp.payload},
                packet->udp.destination_port};
}

std::optional<Came> came_by_v6(ByteView bytes, msghdr& message) {
    const auto from = Endpoint::from_sockaddr(static_cast<const sockaddr*>(message.msg_name),
                                              message.msg_namelen);
    const auto to = destination_of(message);
    const auto udp = parse_udp(bytes);
    if (!from || !to || !udp) return std::nullopt;
    return Came{{{from->address, udp->source_port}, *to, udp->payload}, udp->destination_port};
}

bool has_cookie(ByteView payload) {
    constexpr std::array<uint8_t, 4> kBytes{0x21, 0x12, 0xA4, 0x42};
    return payload.size() >= 8 && std::memcmp(payload.data() + 4, kBytes.data(), 4) == 0;
}

}  // namespace

Result<RawUdp> RawUdp::open(const netlink::NetnsFd& netns, const Place& place) {
    UniqueFd raw;
    UniqueFd route;
    auto opened = netns.run([&]() -> Result<void> {
        auto made = open_socket(place, SOCK_RAW, IPPROTO_UDP);
        if (!made) return failed(made.error());
        raw = std::move(*made);
        if (auto ready = prepare(raw.get(), place); !ready) return ready;
        auto asked = open_socket(place, SOCK_DGRAM, 0);
        if (!asked) return failed(asked.error());
        route = std::move(*asked);
        return {};
    });
    if (!opened)
        return failed(opened.error().while_doing(
            fmt::format("raw UDP port {}, IPv{}", place.port, static_cast<int>(place.family))));
    return RawUdp(place, std::move(raw), std::move(route));
}

Result<Address> RawUdp::source_for(const Endpoint& to) {
    // A connected socket keeps the source of its first destination until it is disconnected.
    sockaddr nowhere{};
    nowhere.sa_family = AF_UNSPEC;
    (void)connect(route_.get(), &nowhere, sizeof nowhere);
    sockaddr_storage storage{};
    const socklen_t size = to.to_sockaddr(storage);
    if (connect(route_.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0)
        return failed(errno_error("no route to " + to.address.text()));
    socklen_t got = sizeof storage;
    if (getsockname(route_.get(), reinterpret_cast<sockaddr*>(&storage), &got) != 0)
        return failed(errno_error("source address"));
    auto source = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), got);
    if (!source) return failed(source.error());
    return source->address;
}

Result<void> RawUdp::send(const Outgoing& datagram) {
    if (datagram.to.address.family() != place_.family || datagram.payload.size() > kMostPayload)
        return fail(Code::Invalid, "not to be sent to {}", datagram.to.text());
    const bool is_v4 = place_.family == Family::V4;
    auto source = datagram.source;
    if (is_v4 && !source) {  // the checksum is ours to compute, and the source is in it
        auto chosen = source_for(datagram.to);
        if (!chosen) return failed(chosen.error());
        source = *chosen;
    }
    auto head = udp_head({source.value_or(Address()), place_.port}, datagram.to, datagram.payload);
    if (!is_v4) head[6] = head[7] = 0;
    std::array<iovec, 2> parts{
        {{head.data(), head.size()},
         {const_cast<uint8_t*>(datagram.payload.data()), datagram.payload.size()}}};
    sockaddr_storage storage{};
    Control control{};
    msghdr message{};
    message.msg_name = &storage;
    message.msg_namelen = to_raw_sockaddr(datagram.to, storage);
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    if (source) put_source(message, control, *source);
    // IP_PMTUDISC_DO and IPV6_PMTUDISC_DO, …_WANT have the same values.
    const int discover = datagram.is_whole ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT;
    (void)setsockopt(fd_.get(), is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
                     is_v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &discover, sizeof discover);
    if (sendmsg(fd_.get(), &message, 0) < 0)
        return failed(errno_error("send to " + datagram.to.text()));
    return {};
}

bool RawUdp::receive(const std::function<void(const Incoming&)>& each) {
    std::array<uint8_t, kMostPayload + 128> buffer;
    for (int i = 0; i < kBatch; ++i) {
        sockaddr_storage storage{};
        Control control{};
        iovec part{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_name = &storage;
        message.msg_namelen = sizeof storage;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.bytes.data();
        message.msg_controllen = sizeof control.bytes;
        const ssize_t size = recvmsg(fd_.get(), &message, MSG_DONTWAIT);
        if (size < 0 && errno == EAGAIN) return false;
        if (size < 0 || (message.msg_flags & MSG_TRUNC)) continue;
        const ByteView bytes(buffer.data(), static_cast<size_t>(size));
        const auto came =
            place_.family == Family::V4 ? came_by_v4(bytes) : came_by_v6(bytes, message);
        if (came && came->port == place_.port && has_cookie(came->datagram.payload))
            each(came->datagram);
    }
    return true;
}

}  // namespace cvlan::reach
