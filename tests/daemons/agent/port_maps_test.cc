// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/port_maps.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace cvlan::agent {
namespace {

// A gateway on loopback that maps by NAT-PMP what it is asked for, and says that it knows no PCP.
class Gate {
public:
    explicit Gate(EventLoop& loop) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in own{};
        own.sin_family = AF_INET;
        own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof own;
        EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&own), size), 0);
        EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
        port = ntohs(own.sin_port);
        watch_ = loop.on_readable(fd_.get(), [this] { answer(); });
    }
    uint16_t port = 0;
    int mapped = 0, released = 0;

private:
    void answer() {
        std::array<uint8_t, 1100> asked{};
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        const ssize_t got = recvfrom(fd_.get(), asked.data(), asked.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
        if (got < 2) return;
        const auto send = [&](const Bytes& bytes) {
            sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from),
                   size);
        };
        // RFC 6886 sections 3.2, 3.3, 3.5: version, opcode, result, seconds since it began.
        if (asked[0] != 0) return send({0, 0x80, 0, 1, 0, 0, 0, 9});
        if (asked[1] == 0) return send({0, 0x80, 0, 0, 0, 0, 0, 9, 203, 0, 113, 5});
        const bool is_release = asked[8] == 0 && asked[9] == 0 && asked[10] == 0 && asked[11] == 0;
        ++(is_release ? released : mapped);
        send({0, 0x81, 0, 0, 0, 0, 0, 9, asked[4], asked[5], 0x9C, 0x40, asked[8], asked[9],
              asked[10], asked[11]});
    }
    UniqueFd fd_;
    Watch watch_;
};

struct PortMapsTest : ::testing::Test {
    EventLoop loop;
    const SystemClock clock;
    Gate gate{loop};
    int changes = 0;
    wg::PrivateKey key = wg::generate_private_key();
    const Gateway gateway{*Address::parse("127.0.0.1"), 1};

    PortMaps maps(bool is_on) {
        return {
            loop, clock, {.is_on = is_on, .server_port = gate.port, .announce_port = 0}, [this] {
                ++changes;
            }};
    }
    bool until(const std::function<bool()>& claim) {
        for (int i = 0; i < 500; ++i) {
            if (claim()) return true;
            loop.run_once(std::chrono::milliseconds(10));
        }
        return false;
    }
};

TEST_F(PortMapsTest, ADevicesPortIsMappedAtTheGatewayAndGivenBack) {
    PortMaps maps = this->maps(true);
    maps.set({{"cv-a", {51820, &key}}}, gateway);
    ASSERT_TRUE(until([&] { return maps.external("cv-a").has_value(); }));
    EXPECT_EQ(maps.external("cv-a")->text(), "203.0.113.5:40000");
    EXPECT_EQ(maps.external("cv-b"), std::nullopt);
    EXPECT_TRUE(until([&] { return changes > 0; }));
    EXPECT_EQ(maps.current()->protocol, reach::MappingProtocol::NatPmp);
    const int mapped = gate.mapped;
    maps.set({{"cv-a", {51820, &key}}}, gateway);
    maps.release();
    EXPECT_TRUE(until([&] { return gate.released == 1; }));
    EXPECT_EQ(gate.mapped, mapped);
    EXPECT_EQ(maps.current(), std::nullopt);
}

TEST_F(PortMapsTest, WithoutAGatewayOrSwitchedOffNobodyIsAsked) {
    PortMaps off = this->maps(false);
    off.set({{"cv-a", {51820, &key}}}, gateway);
    PortMaps on = this->maps(true);
    on.set({{"cv-a", {51820, &key}}}, std::nullopt);
    EXPECT_EQ(off.current(), std::nullopt);
    EXPECT_EQ(on.current(), std::nullopt);
}

}  // namespace
}  // namespace cvlan::agent
