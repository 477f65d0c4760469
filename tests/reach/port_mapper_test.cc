// SPDX-License-Identifier: Apache-2.0
#include "reach/port_mapper.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>

#include "tests/support/fake_gateway.h"

namespace cvlan::reach {
namespace {

using namespace std::chrono_literals;
using tests::FakeGateway;

const Address kLoopback = *Address::parse("127.0.0.1");

// A UDP socket of 127.0.0.1, at a port that the kernel chooses.
UniqueFd bound_socket(uint16_t& port) {
    UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_storage storage{};
    socklen_t size = Endpoint{kLoopback, 0}.to_sockaddr(storage);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
    size = sizeof storage;
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &size);
    port = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size)->port;
    return fd;
}

uint16_t free_udp_port() {
    uint16_t port = 0;
    bound_socket(port).reset();
    return port;
}

// A gateway with a socket on the loop that the mapper is on.
class SocketGateway {
public:
    SocketGateway(EventLoop& loop, FakeGateway with) : fake(std::move(with)) {
        fd_ = bound_socket(port);
        watch_ = loop.on_readable(fd_.get(), [this] { serve(); });
    }
    void send_to(uint16_t to, const Bytes& bytes) const {
        sockaddr_storage storage{};
        const socklen_t size = Endpoint{kLoopback, to}.to_sockaddr(storage);
        sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&storage),
               size);
    }

    FakeGateway fake;
    uint16_t port = 0;

private:
    void serve() {
        std::array<uint8_t, 1500> buffer;
        sockaddr_storage from{};
        socklen_t from_size = sizeof from;
        const ssize_t size = recvfrom(fd_.get(), buffer.data(), buffer.size(), 0,
                                      reinterpret_cast<sockaddr*>(&from), &from_size);
        if (size < 0) return;
        for (const Bytes& answer : fake.answer({buffer.data(), static_cast<size_t>(size)}))
            sendto(fd_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from),
                   from_size);
    }
    UniqueFd fd_;
    Watch watch_;
};

class PortMapperTest : public testing::Test {
protected:
    PortMapper::Options options(uint16_t server_port) {
        return {.gateway = kLoopback,
                .port = 51820,
                .nonce = {1, 2, 3},
                .server_port = server_port,
                .announce_port = 0};
    }
    void open(PortMapper::Options with) {
        auto opened = PortMapper::open(loop, clock, std::move(with),
                                       [this](const MappedPort& now) { seen.push_back(now); });
        ASSERT_TRUE(opened) << opened.error().message;
        mapper = std::move(*opened);
    }
    template <typename Condition>
    testing::AssertionResult until(Condition is_true) {
        const SystemClock real;
        for (const auto end = real.since_boot() + 10s; real.since_boot() < end;) {
            if (is_true()) return testing::AssertionSuccess();
            loop.run_once(20ms);
        }
        return testing::AssertionFailure() << "not within 10 s";
    }
    // Options with UPnP by these functions, and a gateway's port that nobody listens at.
    PortMapper::Options upnp_options() {
        PortMapper::Options with = options(free_udp_port());
        with.upnp_on = &workers;
        with.upnp_map = [this](const UpnpRequest& request) -> Result<UpnpMapping> {
            ++upnp_asked;
            if (is_upnp_refused) return fail(Code::Denied, "upnp: no");
            return UpnpMapping{.external = {*Address::parse("203.0.113.5"), request.suggested_port},
                               .lifetime = request.lifetime,
                               .control_url = "http://127.0.0.1/"};
        };
        with.upnp_unmap = [this](const UpnpMapping&) -> Result<void> {
            ++upnp_unmapped;
            return {};
        };
        return with;
    }
    bool is_mapped_by(MappingProtocol protocol) const {
        return mapper->current().status == MappingStatus::Mapped &&
               mapper->current().protocol == protocol;
    }

    EventLoop loop;
    ManualClock clock{from_unix_ms(0)};
    std::atomic<int> upnp_asked = 0, upnp_unmapped = 0;
    std::atomic<bool> is_upnp_refused = false;
    Workers workers{{.name = "upnp"}};
    std::vector<MappedPort> seen;
    std::unique_ptr<PortMapper> mapper;
};

TEST_F(PortMapperTest, AsksTheGatewayAndTellsWhatItGot) {
    SocketGateway gateway(loop, {});
    open(options(gateway.port));
    EXPECT_TRUE(seen.empty());
    ASSERT_TRUE(until([&] { return !seen.empty(); }));
    EXPECT_EQ(seen, (std::vector{MappedPort{MappingStatus::Mapped, MappingProtocol::Pcp,
                                            Endpoint::parse("203.0.113.7:51820").value()}}));
    EXPECT_EQ(mapper->current(), seen[0]);
    // The request names the address that the gateway sees.
    EXPECT_EQ(hex(ByteView(gateway.fake.requests[0]).subspan(8, 16)),
              "00000000000000000000ffff7f000001");
}

TEST_F(PortMapperTest, TellsTheGatewayOfNatPmpToo) {
    SocketGateway gateway(loop, {.has_pcp = false});
    open(options(gateway.port));
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::NatPmp); }));
}

TEST_F(PortMapperTest, AClosedPortIsSeenWithoutWaiting) {
    open(options(free_udp_port()));
    ASSERT_TRUE(until([&] { return !seen.empty(); }));
    EXPECT_EQ(seen[0].status, MappingStatus::Absent);  // no time has passed on its clock
}

TEST_F(PortMapperTest, AGatewayWithoutAWayIsUnavailable) {
    PortMapper::Options with = options(5351);
    with.gateway = *Address::parse("255.255.255.255");
    const auto opened = PortMapper::open(loop, clock, with, {});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::Unavailable);
}

TEST_F(PortMapperTest, DestroyingItLeavesTheMappingAndReleaseDoesNot) {
    SocketGateway gateway(loop, {});
    open(options(gateway.port));
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Pcp); }));
    mapper.reset();
    loop.run_once(20ms);
    EXPECT_EQ(gateway.fake.mappings.size(), 1u);
    open(options(gateway.port));
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Pcp); }));
    mapper->release();
    ASSERT_TRUE(until([&] { return gateway.fake.mappings.empty(); }));
    EXPECT_FALSE(mapper->current().external);
}

TEST_F(PortMapperTest, TheListenerMayDestroyIt) {
    SocketGateway gateway(loop, {});
    auto opened = PortMapper::open(loop, clock, options(gateway.port), [&](const MappedPort& now) {
        mapper.reset();
        seen.push_back(now);
    });
    ASSERT_TRUE(opened);
    mapper = std::move(*opened);
    ASSERT_TRUE(until([&] { return !mapper; }));
    EXPECT_EQ(seen.size(), 1u);
}

TEST_F(PortMapperTest, LooksAtWhatIsDueAfterASuspend) {
    SocketGateway gateway(loop, {});
    open(options(gateway.port));
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Pcp); }));
    gateway.fake.reboot();
    clock.advance(9h);
    mapper->look();
    EXPECT_FALSE(mapper->current().external);
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Pcp); }));
    EXPECT_EQ(gateway.fake.mappings.size(), 1u);
}

TEST_F(PortMapperTest, HearsTheGatewayBeginAnewAndNobodyElse) {
    SocketGateway gateway(loop, {}), stranger(loop, {});
    PortMapper::Options with = options(gateway.port);
    with.announce_port = free_udp_port();
    open(with);
    // Another program of this host listens to announcements, too.
    auto second = PortMapper::open(loop, clock, with, {});
    ASSERT_TRUE(second);
    second->reset();
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Pcp); }));
    gateway.fake.reboot();
    stranger.send_to(with.announce_port, gateway.fake.announcement(true));
    loop.run_once(20ms);
    clock.advance(5s);
    mapper->look();
    loop.run_once(20ms);
    EXPECT_TRUE(gateway.fake.mappings.empty());
    gateway.send_to(with.announce_port, gateway.fake.announcement(true));
    ASSERT_TRUE(until([&] {
        clock.advance(1s);
        mapper->look();
        return !gateway.fake.mappings.empty();
    }));
}

TEST_F(PortMapperTest, UpnpIsNotAskedWhereItIsNotSwitchedOn) {
    PortMapper::Options with = upnp_options();
    with.upnp_on = nullptr;
    open(with);
    ASSERT_TRUE(until([&] { return mapper->current().status == MappingStatus::Absent; }));
    clock.advance(1h);
    mapper->look();
    workers.stop();
    EXPECT_EQ(upnp_asked, 0);
}

TEST_F(PortMapperTest, UpnpMapsWhereNobodyElseDoesAndIsRenewed) {
    open(upnp_options());
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Upnp); }));
    EXPECT_EQ(mapper->current().external, Endpoint::parse("203.0.113.5:51820").value());
    EXPECT_EQ(upnp_asked, 1);
    clock.advance(59min);
    mapper->look();
    loop.run_once(20ms);
    EXPECT_EQ(upnp_asked, 1);
    clock.advance(1min);
    mapper->look();
    ASSERT_TRUE(until([&] { return upnp_asked == 2; }));
}

TEST_F(PortMapperTest, UpnpThatStoppedAnsweringIsBelievedForTheLifeOfItsMapping) {
    open(upnp_options());
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Upnp); }));
    is_upnp_refused = true;
    clock.advance(1h);
    mapper->look();
    ASSERT_TRUE(until([&] { return upnp_asked == 2; }));
    loop.run_once(20ms);
    EXPECT_TRUE(is_mapped_by(MappingProtocol::Upnp));
    clock.advance(1h);
    mapper->look();
    ASSERT_TRUE(until([&] { return mapper->current().status == MappingStatus::Absent; }));
}

TEST_F(PortMapperTest, UpnpIsDroppedWhereTheGatewayAnswersPcp) {
    PortMapper::Options with = upnp_options();
    SocketGateway gateway(loop, {.refusal = 8, .refusal_s = 60});
    with.server_port = gateway.port;
    open(with);
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Upnp); }));
    gateway.fake.refusal = 0;
    clock.advance(2min);
    mapper->look();
    ASSERT_TRUE(until([&] { return is_mapped_by(MappingProtocol::Pcp); }));
    ASSERT_TRUE(until([&] { return upnp_unmapped == 1; }));
}

TEST_F(PortMapperTest, UpnpIsTakenAwayAtTheEndAlsoWhereItsAnswerComesAfterIt) {
    open(upnp_options());
    ASSERT_TRUE(until([&] { return upnp_asked == 1; }));
    mapper->release();  // whether or not the answer has been read
    ASSERT_TRUE(until([&] { return upnp_unmapped == 1; }));
    EXPECT_FALSE(mapper->current().external);
}

TEST_F(PortMapperTest, AMapperMayGoWhileUpnpIsAsked) {
    open(upnp_options());
    ASSERT_TRUE(until([&] { return upnp_asked == 1; }));
    mapper.reset();
    workers.stop();
    loop.run_once(20ms);
    EXPECT_EQ(upnp_asked, 1);
}

}  // namespace
}  // namespace cvlan::reach
