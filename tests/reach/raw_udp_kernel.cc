// SPDX-License-Identifier: Apache-2.0
// STUN beside the kernel's WireGuard: two namespaces with a tunnel between them, its port shared.
#include "reach/raw_udp.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "tests/support/netns.h"

namespace cvlan::reach {
namespace {

using tests::output_of;

constexpr uint32_t kMark = 0xCA000000;
constexpr uint16_t kPort = 51820;

Bytes stun_like(uint32_t number) {
    Bytes message{0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xA4, 0x42};
    message.resize(20);
    std::memcpy(message.data() + 8, &number, sizeof number);
    return message;
}

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

// Sends back what comes to `port` of the namespace it was made in, and counts it.
class Echo {
public:
    Echo(int family, uint16_t port) : fd_(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        Endpoint any{family == AF_INET ? *Address::parse("0.0.0.0") : *Address::parse("::"), port};
        sockaddr_storage storage{};
        const socklen_t size = any.to_sockaddr(storage);
        const int on = 1;
        if (family == AF_INET6) setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
        thread_ = std::thread([this] { run(); });
    }
    ~Echo() {
        is_over_ = true;
        shutdown(fd_.get(), SHUT_RDWR);
        thread_.join();
    }
    int count() const { return count_; }

private:
    void run() {
        while (!is_over_) {
            pollfd ready{fd_.get(), POLLIN, 0};
            if (poll(&ready, 1, 100) <= 0) continue;
            std::array<uint8_t, 2048> buffer{};
            sockaddr_storage from{};
            socklen_t size = sizeof from;
            const ssize_t got = recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                         reinterpret_cast<sockaddr*>(&from), &size);
            if (got <= 0) continue;
            ++count_;
            sendto(fd_.get(), buffer.data(), static_cast<size_t>(got), 0,
                   reinterpret_cast<sockaddr*>(&from), size);
        }
    }
    UniqueFd fd_;
    std::atomic<bool> is_over_ = false;
    std::atomic<int> count_ = 0;
    std::thread thread_;
};

// This namespace and a far one, a cable and a WireGuard tunnel between them.
class RawUdpKernel : public tests::InOwnNetns {
protected:
    void SetUp() override {
        InOwnNetns::SetUp();
        far_ = std::make_unique<netlink::NetnsFd>(tests::new_netns());
        const std::string far = fmt::format("/proc/{}/fd/{}", getpid(), far_->fd());
        output_of("ip link add near type veth peer name far");
        output_of("ip link set far netns " + far);
        output_of(
            "ip addr add 192.0.2.1/24 dev near; ip addr add 2001:db8::1/64 dev near nodad; "
            "ip link set near up");
        output_of("mkdir -p /run/netns; touch /run/netns/raw-far; mount --bind " + far +
                  " /run/netns/raw-far");
        in_far(
            "ip addr add 192.0.2.2/24 dev far; ip addr add 2001:db8::2/64 dev far nodad; "
            "ip link set far up; ip link set lo up");
        tunnel("", "10.9.0.1/24", "near", "192.0.2.2");
        tunnel("ip netns exec raw-far ", "10.9.0.2/24", "far", "192.0.2.1");
        shake_hands();
    }
    void TearDown() override { output_of("umount /run/netns/raw-far; rm /run/netns/raw-far"); }
    static void in_far(const std::string& commands) {
        output_of("ip netns exec raw-far sh -c '" + commands + "'");
    }
    static void tunnel(const std::string& there, const std::string& address,
                       const std::string& name, const std::string&) {
        output_of(there + "ip link add wg0 type wireguard");
        output_of("wg genkey > /tmp/raw-" + name);
        output_of(there + "wg set wg0 listen-port 51820 private-key /tmp/raw-" + name);
        output_of(there + "ip addr add " + address + " dev wg0");
        output_of(there + "ip link set wg0 up");
    }
    static void shake_hands() {
        const auto key = [](const char* name) {
            std::string text = output_of(fmt::format("wg pubkey < /tmp/raw-{}", name));
            text.erase(text.find('\n'));
            return text;
        };
        output_of("wg set wg0 peer " + key("far") +
                  " endpoint 192.0.2.2:51820 allowed-ips 10.9.0.2/32");
        output_of("ip netns exec raw-far wg set wg0 peer " + key("near") +
                  " endpoint 192.0.2.1:51820 allowed-ips 10.9.0.1/32");
        output_of("ping -c 1 -W 5 10.9.0.2");
    }
    static uint64_t received() { return std::stoull(output_of("wg show wg0 transfer | cut -f 2")); }
    std::unique_ptr<Echo> echo_in_far(int family, uint16_t port) {
        std::unique_ptr<Echo> echo;
        EXPECT_TRUE(far_->run([&]() -> Result<void> {
            echo = std::make_unique<Echo>(family, port);
            return {};
        }));
        return echo;
    }
    RawUdp raw(Family family) {
        auto opened = RawUdp::open(netns(), {family, kPort, kMark});
        if (!opened) {
            ADD_FAILURE() << opened.error().message;
            std::abort();
        }
        return std::move(*opened);
    }
    // Takes what comes within a second of silence, at most `count`.
    static std::vector<std::string> take(RawUdp& raw, size_t count) {
        std::vector<std::string> came;
        pollfd ready{raw.fd(), POLLIN, 0};
        while (came.size() < count && poll(&ready, 1, 1000) > 0)
            raw.receive([&](const RawUdp::Incoming& one) {
                came.push_back(one.from.text() + " " + one.to.text() + " " + hex(one.payload));
            });
        return came;
    }

    std::unique_ptr<netlink::NetnsFd> far_;
};

TEST_F(RawUdpKernel, AskingAndAnsweringOnTheWireGuardPortLeavesTrafficAlone) {
    const auto echo = echo_in_far(AF_INET, 3478);
    RawUdp socket = raw(Family::V4);
    std::string pinged;
    const uint64_t before = received();
    std::thread traffic([&] { pinged = output_of("ping -q -i 0.005 -c 400 -s 1000 10.9.0.2"); });
    size_t answered = 0;
    for (uint32_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(socket.send({.to = at("192.0.2.2:3478"), .payload = stun_like(i)}));
        const auto came = take(socket, 1);
        ASSERT_EQ(came.size(), 1u);
        EXPECT_EQ(came[0], "192.0.2.2:3478 192.0.2.1 " + hex(stun_like(i)));
        answered += came.size();
    }
    traffic.join();
    EXPECT_NE(pinged.find("400 received"), std::string::npos) << pinged;
    EXPECT_EQ(answered, 200u);
    EXPECT_EQ(echo->count(), 200);
    // 400 echoes of 1000 bytes came through the tunnel, and none of them through us.
    EXPECT_GE(received() - before, 400u * 1000u);
    EXPECT_TRUE(take(socket, 1).empty());
}

TEST_F(RawUdpKernel, Ipv6HasTheKernelsChecksumAndSource) {
    const auto echo = echo_in_far(AF_INET6, 3478);
    RawUdp socket = raw(Family::V6);
    ASSERT_TRUE(socket.send({.to = at("[2001:db8::2]:3478"), .payload = stun_like(7)}));
    const auto came = take(socket, 1);
    ASSERT_EQ(came.size(), 1u);
    EXPECT_EQ(came[0], "[2001:db8::2]:3478 2001:db8::1 " + hex(stun_like(7)));
    EXPECT_EQ(echo->count(), 1);
}

TEST_F(RawUdpKernel, AnAnswerLeavesFromTheAddressThatWasAsked) {
    output_of("ip addr add 192.0.2.77/24 dev near; ip addr add 2001:db8::77/64 dev near nodad");
    const auto v4 = echo_in_far(AF_INET, 3478);
    const auto v6 = echo_in_far(AF_INET6, 3479);
    RawUdp four = raw(Family::V4);
    RawUdp six = raw(Family::V6);
    ASSERT_TRUE(four.send({.to = at("192.0.2.2:3478"),
                           .source = *Address::parse("192.0.2.77"),
                           .payload = stun_like(1)}));
    ASSERT_TRUE(six.send({.to = at("[2001:db8::2]:3479"),
                          .source = *Address::parse("2001:db8::77"),
                          .payload = stun_like(1)}));
    EXPECT_EQ(take(four, 1),
              std::vector<std::string>{"192.0.2.2:3478 192.0.2.77 " + hex(stun_like(1))});
    EXPECT_EQ(take(six, 1),
              std::vector<std::string>{"[2001:db8::2]:3479 2001:db8::77 " + hex(stun_like(1))});
}

TEST_F(RawUdpKernel, WhatHasNoCookieOrAnotherPortIsNotHandedOver) {
    RawUdp four = raw(Family::V4);
    RawUdp six = raw(Family::V6);
    Bytes other = stun_like(1);
    other[4] = 0x22;
    // IP options move the UDP header: the filter must follow.
    const std::string send =
        "import socket,sys\n"
        "for family, to in ((socket.AF_INET, \"192.0.2.1\"), (socket.AF_INET6, \"2001:db8::1\")):\n"
        "    s = socket.socket(family, socket.SOCK_DGRAM)\n"
        "    s.bind((\"\", 4242))\n"
        "    s.sendto(bytes.fromhex(\"" +
        hex(other) +
        "\"), (to, 51820))\n"
        "    s.sendto(bytes.fromhex(\"" +
        hex(stun_like(2)) +
        "\"), (to, 51821))\n"
        "    s.sendto(b\"\", (to, 51820))\n"
        "    if family == socket.AF_INET:\n"
        "        s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1] * 8))\n"
        "    s.sendto(bytes.fromhex(\"" +
        hex(stun_like(3)) + "\"), (to, 51820))\n";
    in_far("python3 -c \"$0\"' '" + send);
    EXPECT_EQ(take(four, 3),
              std::vector<std::string>{"192.0.2.2:4242 192.0.2.1 " + hex(stun_like(3))});
    EXPECT_EQ(take(six, 3),
              std::vector<std::string>{"[2001:db8::2]:4242 2001:db8::1 " + hex(stun_like(3))});
}

TEST_F(RawUdpKernel, AFloodIsTakenInBatches) {
    RawUdp socket = raw(Family::V4);
    for (uint32_t i = 0; i < 200; ++i)
        ASSERT_TRUE(socket.send({.to = at("192.0.2.1:51820"), .payload = stun_like(i)}));
    int count = 0;
    EXPECT_TRUE(socket.receive([&](const RawUdp::Incoming&) { ++count; }));
    EXPECT_EQ(count, RawUdp::kBatch);
}

TEST_F(RawUdpKernel, WhereThereIsNoRouteTheErrorSaysSo) {
    RawUdp socket = raw(Family::V4);
    const auto sent = socket.send({.to = at("198.51.100.1:1"), .payload = stun_like(1)});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().sys_errno, ENETUNREACH);
    EXPECT_TRUE(socket.send({.to = at("192.0.2.2:3478"), .payload = stun_like(1)}));
}

TEST_F(RawUdpKernel, TheMarkKeepsItOffOurOwnRoutes) {
    output_of("ip route add 198.51.100.0/24 via 192.0.2.2");
    output_of(
        "ip addr add 198.51.100.9/32 dev lo; ip netns exec raw-far ip addr add "
        "198.51.100.1/32 dev far");
    // What answers there is bound to no address.
    output_of(
        "ip netns exec raw-far ip route replace 192.0.2.0/24 dev far scope link src 198.51.100.1");
    // As the agent has it: all that is not marked goes into the tunnel.
    output_of("ip route add 198.51.100.0/24 dev wg0 table 52000");
    output_of("ip rule add not fwmark 0xCA000000/0xFF000000 lookup 52000 pref 5200");
    const auto echo = echo_in_far(AF_INET, 3478);
    RawUdp socket = raw(Family::V4);
    ASSERT_TRUE(socket.send({.to = at("198.51.100.1:3478"), .payload = stun_like(5)}));
    EXPECT_EQ(take(socket, 1),
              std::vector<std::string>{"198.51.100.1:3478 192.0.2.1 " + hex(stun_like(5))});
}

}  // namespace
}  // namespace cvlan::reach
