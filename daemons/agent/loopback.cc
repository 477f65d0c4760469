// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"

namespace cvlan::agent {

namespace {

constexpr uint32_t kFirst = 0x7F800001;  // 127.128.0.1
constexpr uint32_t kLast = 0x7FFFFFFE;
constexpr size_t kMostPacket = 65535;
constexpr unsigned kBatch = 32;
// A turn takes so many batches, so that a device which sends as fast as it can holds up nobody.
constexpr int kBatchesATurn = 4;
constexpr size_t kMostWaiting = size_t{512} * 1024;
constexpr int kBuffer = 4 << 20;

struct alignas(cmsghdr) InfoSpace {
    std::array<uint8_t, CMSG_SPACE(sizeof(in_pktinfo))> bytes{};
};

Address address_of(uint32_t host_order) {
    const uint32_t wire = htonl(host_order);
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &wire, bytes.size());
    return *Address::from_bytes(bytes);
}

uint32_t first_place(const PathKey& peer) {
    Bytes name(peer.first.begin(), peer.first.end());
    name.insert(name.end(), peer.second.bytes().begin(), peer.second.bytes().end());
    const Bytes hash = sha256(name);
    const uint32_t number = uint32_t{hash[0]} << 24 | uint32_t{hash[1]} << 16 |
                            uint32_t{hash[2]} << 8 | uint32_t{hash[3]};
    return kFirst + number % (kLast - kFirst + 1);
}

sockaddr_in local(uint32_t host_order, uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(host_order);
    return at;
}

// The address that a datagram was sent to.
uint32_t destination(msghdr& head) {
    for (cmsghdr* one = CMSG_FIRSTHDR(&head); one; one = CMSG_NXTHDR(&head, one)) {
        if (one->cmsg_level != IPPROTO_IP || one->cmsg_type != IP_PKTINFO) continue;
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(one), sizeof info);
        return ntohl(info.ipi_addr.s_addr);
    }
    return 0;
}

void put_source(msghdr& head, InfoSpace& space, uint32_t from) {
    head.msg_control = space.bytes.data();
    head.msg_controllen = space.bytes.size();
    cmsghdr* one = CMSG_FIRSTHDR(&head);
    one->cmsg_level = IPPROTO_IP;
    one->cmsg_type = IP_PKTINFO;
    one->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(from);
    std::memcpy(CMSG_DATA(one), &info, sizeof info);
}

// More than the system's usual where we may: a device hands over a burst at once.
void set_buffers(int fd) {
    for (const auto& [force, plain] :
         {std::pair(SO_RCVBUFFORCE, SO_RCVBUF), std::pair(SO_SNDBUFFORCE, SO_SNDBUF)})
        if (setsockopt(fd, SOL_SOCKET, force, &kBuffer, sizeof kBuffer) != 0)
            (void)setsockopt(fd, SOL_SOCKET, plain, &kBuffer, sizeof kBuffer);
}

}  // namespace

// The space of one recvmmsg; what is never written to costs no memory.
struct Loopback::Batch {
    std::unique_ptr<uint8_t[]> bytes{new uint8_t[kBatch * kMostPacket]};
    std::array<mmsghdr, kBatch> heads{};
    std::array<iovec, kBatch> pieces{};
    std::array<sockaddr_in, kBatch> sources{};
    std::array<InfoSpace, kBatch> infos{};

    mmsghdr* prepared() {
        for (size_t i = 0; i < kBatch; ++i) {
            pieces[i] = {bytes.get() + i * kMostPacket, kMostPacket};
            msghdr& head = heads[i].msg_hdr;
            head = {};
            head.msg_name = &sources[i];
            head.msg_namelen = sizeof sources[i];
            head.msg_iov = &pieces[i];
            head.msg_iovlen = 1;
            head.msg_control = infos[i].bytes.data();
            head.msg_controllen = infos[i].bytes.size();
        }
        return heads.data();
    }
};

Loopback::Loopback(EventLoop& loop, UniqueFd fd, uint16_t port, OnPacket on_packet)
    : loop_(loop),
      fd_(std::move(fd)),
      port_(port),
      on_packet_(std::move(on_packet)),
      batch_(std::make_unique<Batch>()) {
    readable_ = loop_.on_readable(fd_.get(), [this] { receive(); });
}

Loopback::~Loopback() = default;

Result<std::unique_ptr<Loopback>> Loopback::open(EventLoop& loop, OnPacket on_packet,
                                                 uint16_t preferred) {
    UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return failed(errno_error("relays' loopback: socket"));
    const int on = 1;
    if (setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0)
        return failed(errno_error("relays' loopback: IP_PKTINFO"));
    if (setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) != 0)
        return failed(errno_error("relays' loopback: SO_BINDTODEVICE"));
    set_buffers(fd.get());
    sockaddr_in at = local(INADDR_ANY, preferred);
    socklen_t size = sizeof at;
    auto* bytes = reinterpret_cast<sockaddr*>(&at);
    bool is_bound = bind(fd.get(), bytes, size) == 0;
    if (!is_bound && preferred != 0) {
        at.sin_port = 0;
        is_bound = bind(fd.get(), bytes, size) == 0;
    }
    if (!is_bound || getsockname(fd.get(), bytes, &size) != 0)
        return failed(errno_error("relays' loopback: bind"));
    const uint16_t port = ntohs(at.sin_port);
    return std::unique_ptr<Loopback>(new Loopback(loop, std::move(fd), port, std::move(on_packet)));
}

bool Loopback::has(const Address& address) {
    static const Prefix all = *Prefix::parse("127.128.0.0/9");
    return all.contains(address);
}

Endpoint Loopback::add(const PathKey& peer, uint16_t port) {
    auto [known, is_new] = address_of_.try_emplace(peer, 0);
    if (is_new) {
        // Not given away again soon, as the kernel may still have it for another peer: of millions
        // of addresses two peers hardly ever come to the same.
        uint32_t place = first_place(peer);
        while (places_.contains(place)) place = place == kLast ? kFirst : place + 1;
        known->second = place;
    }
    places_[known->second] = {peer, port};
    return {address_of(known->second), port_};
}

void Loopback::remove(const PathKey& peer) {
    const auto known = address_of_.find(peer);
    if (known == address_of_.end()) return;
    places_.erase(known->second);
    address_of_.erase(known);
}

void Loopback::receive() {
    for (int round = 0; round < kBatchesATurn; ++round) {
        mmsghdr* heads = batch_->prepared();
        const int got = recvmmsg(fd_.get(), heads, kBatch, MSG_DONTWAIT, nullptr);
        for (int i = 0; i < got; ++i) {
            const auto at = static_cast<size_t>(i);
            const sockaddr_in& source = batch_->sources[at];
            took(ntohl(source.sin_addr.s_addr), ntohs(source.sin_port),
                 destination(heads[i].msg_hdr),
                 ByteView(batch_->bytes.get() + at * kMostPacket, heads[i].msg_len));
        }
        if (got < static_cast<int>(kBatch)) return;
    }
}

void Loopback::took(uint32_t source, uint16_t source_port, uint32_t to, ByteView packet) {
    const auto place = places_.find(to);
    if (place == places_.end() || source != INADDR_LOOPBACK || source_port != place->second.port) {
        ++stats_.refused;
        return;
    }
    ++stats_.received;
    const PathKey peer = place->second.peer;  // the callback may remove it
    on_packet_(peer, packet);
}

void Loopback::deliver(const PathKey& peer, ByteView packet) {
    const auto known = address_of_.find(peer);
    if (known == address_of_.end() || packet.size() > kMostPacket) return;
    waiting_.push_back(
        {known->second, places_[known->second].port, waiting_bytes_.size(), packet.size()});
    waiting_bytes_.insert(waiting_bytes_.end(), packet.begin(), packet.end());
    if (waiting_bytes_.size() > kMostWaiting) return flush();
    if (waiting_.size() == 1)
        flush_ = loop_.after(std::chrono::milliseconds(0), [this] { flush(); });
}

void Loopback::flush() {
    for (size_t first = 0; first < waiting_.size(); first += kBatch)
        send(first, std::min<size_t>(kBatch, waiting_.size() - first));
    waiting_.clear();
    waiting_bytes_.clear();
}

void Loopback::send(size_t first, size_t count) {
    std::array<mmsghdr, kBatch> heads{};
    std::array<iovec, kBatch> pieces{};
    std::array<sockaddr_in, kBatch> to{};
    std::array<InfoSpace, kBatch> infos{};
    for (size_t i = 0; i < count; ++i) {
        const Waiting& one = waiting_[first + i];
        to[i] = local(INADDR_LOOPBACK, one.port);
        pieces[i] = {waiting_bytes_.data() + one.at, one.size};
        msghdr& head = heads[i].msg_hdr;
        head.msg_name = &to[i];
        head.msg_namelen = sizeof to[i];
        head.msg_iov = &pieces[i];
        head.msg_iovlen = 1;
        put_source(head, infos[i], one.from);
    }
    // One that can not be sent, as to a device that is gone, holds up none behind it.
    for (size_t done = 0; done < count;) {
        const int sent = sendmmsg(fd_.get(), heads.data() + done,
                                  static_cast<unsigned>(count - done), MSG_DONTWAIT);
        if (sent > 0) stats_.sent += static_cast<uint64_t>(sent);
        done += sent > 0 ? static_cast<size_t>(sent) : 1;
    }
}

}  // namespace cvlan::agent
