// SPDX-License-Identifier: Apache-2.0
#pragma once

// Two nodes and a router between them, A - R - B, each in a network namespace of its own, joined by
// veth pairs: 10.1.0.2, fd01::2 - R - 10.2.0.2, fd02::2. R has 10.9.0.1 and fd09::1 as well, and
// forwards. For tests and benches; needs root, and ends the program where something fails.

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "base/ip.h"
#include "base/unique_fd.h"
#include "netlink/link.h"
#include "netlink/netns.h"

namespace cvlan::tests {

template <class T>
T need(Result<T> result, const char* what) {
    if (!result) {
        std::fprintf(stderr, "%s: %s\n", what, result.error().message.c_str());
        std::abort();
    }
    return std::move(*result);
}

struct ThreeNetns {
    netlink::NetnsFd a = fresh();
    netlink::NetnsFd r = fresh();
    netlink::NetnsFd b = fresh();

    ThreeNetns() {
        join(a, "va", "ra");
        join(b, "vb", "rb");
        shell(a,
              "ip link set lo up; ip link set va up; ip addr add 10.1.0.2/24 dev va; "
              "ip addr add fd01::2/64 dev va nodad; ip route add default via 10.1.0.1; "
              "ip route add default via fd01::1");
        shell(b,
              "ip link set lo up; ip link set vb up; ip addr add 10.2.0.2/24 dev vb; "
              "ip addr add fd02::2/64 dev vb nodad; ip route add default via 10.2.0.1; "
              "ip route add default via fd02::1");
        shell(r,
              "ip link set lo up; ip addr add 10.9.0.1/32 dev lo; "
              "ip addr add fd09::1/128 dev lo nodad; "
              "ip link set ra up; ip addr add 10.1.0.1/24 dev ra; "
              "ip addr add fd01::1/64 dev ra nodad; "
              "ip link set rb up; ip addr add 10.2.0.1/24 dev rb; "
              "ip addr add fd02::1/64 dev rb nodad");
    }

    // Both families, everywhere in R.
    void forward() const {
        shell(r,
              "echo 1 > /proc/sys/net/ipv4/ip_forward; "
              "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    }

    // What a shell command printed there.
    static std::string shell(const netlink::NetnsFd& netns, const std::string& command) {
        std::string output;
        auto done = netns.run([&]() -> Result<void> {
            FILE* pipe = popen(command.c_str(), "r");
            char chunk[4096];
            for (size_t size; (size = fread(chunk, 1, sizeof chunk, pipe)) > 0;)
                output.append(chunk, size);
            if (pclose(pipe) != 0) return fail(Code::Internal, "{}\n{}", command, output);
            return {};
        });
        if (!done) {
            std::fprintf(stderr, "%s\n", done.error().message.c_str());
            std::abort();
        }
        return output;
    }

private:
    static netlink::NetnsFd fresh() {
        std::optional<Result<netlink::NetnsFd>> made;
        std::thread([&] {
            made = unshare(CLONE_NEWNET) == 0
                       ? netlink::NetnsFd::current()
                       : Result<netlink::NetnsFd>(failed(errno_error("make a network namespace")));
        }).join();
        return need(std::move(*made), "namespace");
    }
    // A veth pair, one end in R.
    void join(const netlink::NetnsFd& node, const std::string& there, const std::string& here) {
        shell(r, "ip link add " + here + " type veth peer name " + there);
        auto socket = need(netlink::Socket::open(NETLINK_ROUTE, r), "netlink");
        const int index = need(netlink::find_link(socket, there), "veth").index;
        auto moved = netlink::change_link(socket, index, {.netns = &node});
        if (!moved) std::abort();
    }
};

// A UDP socket in one of them.
class UdpSocket {
public:
    UdpSocket(const netlink::NetnsFd& netns, const Endpoint& at) {
        auto opened = netns.run([&]() -> Result<void> {
            fd_ = UniqueFd(socket(at.address.af(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
            sockaddr_storage storage{};
            const socklen_t size = at.to_sockaddr(storage);
            if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0)
                return failed(errno_error("bind " + at.text()));
            return {};
        });
        if (!opened) {
            std::fprintf(stderr, "%s\n", opened.error().message.c_str());
            std::abort();
        }
    }

    int fd() const { return fd_.get(); }
    bool send(const std::string& text, const Endpoint& to) const {
        sockaddr_storage storage{};
        const socklen_t size = to.to_sockaddr(storage);
        return sendto(fd(), text.data(), text.size(), 0,
                      reinterpret_cast<const sockaddr*>(&storage),
                      size) == static_cast<ssize_t>(text.size());
    }

    struct Datagram {
        std::string text;
        Endpoint from;
        bool operator==(const Datagram&) const = default;
    };
    // Nothing if none comes within the time.
    std::optional<Datagram> receive(int milliseconds = 5000) const {
        pollfd ready{fd(), POLLIN, 0};
        if (poll(&ready, 1, milliseconds) != 1) return std::nullopt;
        char buffer[65536];
        sockaddr_storage from{};
        socklen_t from_size = sizeof from;
        const ssize_t size = recvfrom(fd(), buffer, sizeof buffer, 0,
                                      reinterpret_cast<sockaddr*>(&from), &from_size);
        if (size < 0) return std::nullopt;
        auto endpoint = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&from), from_size);
        return Datagram{{buffer, static_cast<size_t>(size)}, need(std::move(endpoint), "sender")};
    }

private:
    UniqueFd fd_;
};

inline Endpoint at(const std::string& text) { return need(Endpoint::parse(text), "endpoint"); }

}  // namespace cvlan::tests
