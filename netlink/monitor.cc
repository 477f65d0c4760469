// SPDX-License-Identifier: Apache-2.0
#include "netlink/monitor.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "netlink/transport.h"

namespace cvlan::netlink {

namespace {

constexpr int kReceiveBuffer = 1024 * 1024;
constexpr size_t kMessageSize = 32 * 1024;

Result<UniqueFd> open_listening(int protocol, std::initializer_list<uint32_t> groups) {
    UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!fd) return failed(errno_error("open netlink monitor"));
    sockaddr_nl any{};
    any.nl_family = AF_NETLINK;
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0)
        return failed(errno_error("bind netlink monitor"));
    // A larger buffer makes overruns rare; without CAP_NET_ADMIN it stays as it is.
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
    for (const uint32_t group : groups) {
        if (setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
            return failed(errno_error(fmt::format("join netlink group {}", group)));
    }
    return fd;
}

void walk(ByteView rest, Monitor::Heard& heard, const std::function<void(const Reply&)>& each) {
    nlmsghdr head;
    while (rest.size() >= sizeof head) {
        std::memcpy(&head, rest.data(), sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > rest.size()) break;
        ++heard.messages;
        if (each) {
            each({head.nlmsg_type, head.nlmsg_flags,
                  rest.subspan(sizeof head, head.nlmsg_len - sizeof head)});
        }
        rest = rest.subspan(std::min<size_t>(NLMSG_ALIGN(head.nlmsg_len), rest.size()));
    }
    // What can not be read may have been anything.
    if (!rest.empty()) heard.overrun = true;
}

}  // namespace

Result<Monitor> Monitor::open(int protocol, const NetnsFd& netns,
                              std::initializer_list<uint32_t> groups) {
    UniqueFd fd;
    auto opened = netns.run([&]() -> Result<void> {
        auto socket = open_listening(protocol, groups);
        if (!socket) return failed(socket.error());
        fd = std::move(*socket);
        return {};
    });
    if (!opened) return failed(opened.error());
    return Monitor(std::move(fd));
}

Result<Monitor::Heard> Monitor::read(const std::function<void(const Reply&)>& each) {
    Heard heard;
    alignas(nlmsghdr) uint8_t buffer[kMessageSize];
    for (int count = 0; count < kBatch; ++count) {
        auto got = receive_datagram(fd_.get(), buffer, MSG_DONTWAIT);
        if (got) {
            if (got->sender != 0) continue;
            if (got->size > sizeof buffer) heard.overrun = true;
            walk(ByteView(buffer).first(std::min(got->size, sizeof buffer)), heard, each);
            continue;
        }
        const int sys_errno = got.error().sys_errno;
        if (sys_errno == EAGAIN) return heard;
        if (sys_errno == EINTR) continue;
        if (sys_errno != ENOBUFS) return failed(got.error());
        // The kernel says it once and goes on with what it could keep.
        heard.overrun = true;
        ++overruns_;
    }
    heard.more = true;
    return heard;
}

}  // namespace cvlan::netlink
