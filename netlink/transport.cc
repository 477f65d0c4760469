// SPDX-License-Identifier: Apache-2.0
#include "netlink/transport.h"

#include <libmnl/libmnl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace cvlan::netlink {

namespace {

constexpr int kBatchBuffer = 8 * 1024 * 1024;

struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using MnlSocket = std::unique_ptr<mnl_socket, Close>;

class KernelTransport final : public Transport {
public:
    explicit KernelTransport(MnlSocket socket)
        : socket_(std::move(socket)), port_(mnl_socket_get_portid(socket_.get())) {}

    Result<void> send(ByteView messages) override {
        ssize_t sent;
        do {
            sent = mnl_socket_sendto(socket_.get(), messages.data(), messages.size());
        } while (sent < 0 && errno == EINTR);
        if (sent < 0) return failed(errno_error("netlink send"));
        return {};
    }

    Result<Datagram> receive(std::span<uint8_t> buffer, std::chrono::milliseconds limit) override {
        const int fd = mnl_socket_get_fd(socket_.get());
        const auto deadline = std::chrono::steady_clock::now() + limit;
        for (;;) {
            // The answer is there when the send returns: poll only where it is not.
            auto got = receive_datagram(fd, buffer, MSG_DONTWAIT);
            if (got) return got;
            if (got.error().sys_errno == EINTR) continue;
            if (got.error().sys_errno != EAGAIN) return got;
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now());
            pollfd ready{fd, POLLIN, 0};
            const int count = poll(&ready, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
            if (count < 0 && errno != EINTR) return failed(errno_error("netlink poll"));
            if (count == 0) return failed(errno_error("no answer from the kernel", ETIMEDOUT));
        }
    }

    uint32_t port() const override { return port_; }

private:
    MnlSocket socket_;
    uint32_t port_;
};

Result<MnlSocket> open_bound(int protocol) {
    MnlSocket socket(mnl_socket_open2(protocol, SOCK_CLOEXEC));
    if (!socket) return failed(errno_error("open netlink socket"));
    if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0)
        return failed(errno_error("bind netlink socket"));
    // Each since Linux 4.20 or earlier; an older kernel does without and says less.
    for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK}) {
        int on = 1;
        mnl_socket_setsockopt(socket.get(), option, &on, sizeof on);
    }
    if (protocol == NETLINK_NETFILTER) {
        // A batch is one datagram, and the default has room for 200 KiB.
        (void)setsockopt(mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_SNDBUFFORCE, &kBatchBuffer,
                         sizeof kBatchBuffer);
    }
    return socket;
}

}  // namespace

Result<std::unique_ptr<Transport>> open_transport(int protocol, const NetnsFd& netns) {
    std::unique_ptr<Transport> transport;
    auto opened = netns.run([&]() -> Result<void> {
        auto socket = open_bound(protocol);
        if (!socket) return failed(socket.error());
        transport = std::make_unique<KernelTransport>(std::move(*socket));
        return {};
    });
    if (!opened) return failed(opened.error());
    return transport;
}

// mnl_socket_recvfrom() tells neither the sender nor the true size of a message cut short.
Result<Transport::Datagram> receive_datagram(int fd, std::span<uint8_t> buffer, int flags) {
    sockaddr_nl from{};
    iovec into{buffer.data(), buffer.size()};
    msghdr head{};
    head.msg_name = &from;
    head.msg_namelen = sizeof from;
    head.msg_iov = &into;
    head.msg_iovlen = 1;
    const ssize_t size = recvmsg(fd, &head, flags | MSG_TRUNC);
    if (size < 0) return failed(errno_error("netlink receive"));
    if (head.msg_namelen != sizeof from || from.nl_family != AF_NETLINK)
        return fail(Code::Malformed, "netlink receive: sender without an address");
    return Transport::Datagram{static_cast<size_t>(size), from.nl_pid};
}

}  // namespace cvlan::netlink
