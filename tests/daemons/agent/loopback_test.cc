// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/loopback.h"

#include "tests/daemons/agent/relay_links_fixture.h"

namespace cvlan::agent {
namespace {

using testing::DeviceSocket;
using testing::key_of;

const PathKey kOne{"cv-one", key_of(1)};
const PathKey kTwo{"cv-one", key_of(2)};

class LoopbackTest : public ::testing::Test {
protected:
    LoopbackTest() {
        auto made = Loopback::open(loop, [this](const PathKey& peer, ByteView packet) {
            got.push_back(fmt::format("{}:{}", peer.second.bytes()[0], as_text(packet)));
        });
        EXPECT_TRUE(made) << made.error().message;
        loopback = std::move(*made);
    }
    // Turns of the loop until nothing more happens.
    void turn() {
        for (int i = 0; i < 4; ++i) loop.run_once(std::chrono::milliseconds(0));
    }

    EventLoop loop;
    std::vector<std::string> got;
    std::unique_ptr<Loopback> loopback;
    const DeviceSocket device;
};

TEST_F(LoopbackTest, APacketOfADeviceIsKnownByTheAddressItWasSentTo) {
    const Endpoint one = loopback->add(kOne, device.port());
    const Endpoint two = loopback->add(kTwo, device.port());
    EXPECT_TRUE(Loopback::has(one.address));
    EXPECT_EQ(one.port, two.port);
    device.send(two, "to two");
    device.send(one, "to one");
    turn();
    EXPECT_EQ(got, (std::vector<std::string>{"2:to two", "1:to one"}));
}

TEST_F(LoopbackTest, APacketOfAPeerComesToItsDeviceFromItsAddress) {
    const Endpoint one = loopback->add(kOne, device.port());
    const Endpoint two = loopback->add(kTwo, device.port());
    loopback->deliver(kOne, as_bytes("from one"));
    loopback->deliver(kTwo, as_bytes("from two"));
    turn();
    EXPECT_EQ(device.receive(), one.text() + " from one");
    EXPECT_EQ(device.receive(), two.text() + " from two");
    EXPECT_EQ(device.receive(), "");
}

TEST_F(LoopbackTest, NobodyButTheDeviceCanPutAPacketIn) {
    const Endpoint one = loopback->add(kOne, device.port());
    const DeviceSocket stranger;
    stranger.send(one, "let me in");
    turn();
    EXPECT_TRUE(got.empty());
    EXPECT_EQ(loopback->stats().refused, 1u);
}

TEST_F(LoopbackTest, ADeviceCanNotSpeakToAPeerOfAnother) {
    const DeviceSocket other;
    const Endpoint one = loopback->add(kOne, device.port());
    loopback->add({"cv-other", key_of(1)}, other.port());
    other.send(one, "wrong device");
    turn();
    EXPECT_TRUE(got.empty());
}

TEST_F(LoopbackTest, AnAddressStaysWithItsPeerAndIsNotGivenAwaySoon) {
    const Endpoint one = loopback->add(kOne, device.port());
    EXPECT_EQ(loopback->add(kOne, device.port()), one);
    loopback->remove(kOne);
    EXPECT_NE(loopback->add(kTwo, device.port()), one);
    device.send(one, "to nobody");
    turn();
    EXPECT_TRUE(got.empty());
    loopback->deliver(kOne, as_bytes("of nobody"));
    turn();
    EXPECT_EQ(device.receive(), "");
}

TEST_F(LoopbackTest, APeerIsWhereItWasAfterARestart) {
    const Endpoint one = loopback->add(kOne, device.port());
    const Endpoint two = loopback->add(kTwo, device.port());
    EXPECT_NE(one, two);
    loopback.reset();
    loopback = std::move(*Loopback::open(
        loop, [](const PathKey&, ByteView) {}, one.port));
    EXPECT_EQ(loopback->add(kTwo, device.port()), two);
    EXPECT_EQ(loopback->add(kOne, device.port()), one);
    // A port that somebody has is none to wait for.
    const auto other = Loopback::open(
        loop, [](const PathKey&, ByteView) {}, one.port);
    ASSERT_TRUE(other);
    EXPECT_NE((*other)->port(), one.port);
}

TEST_F(LoopbackTest, ABurstOfLargePacketsComesWhole) {
    const Endpoint one = loopback->add(kOne, device.port());
    const std::string large(1400, 'x');
    for (int i = 0; i < 100; ++i) device.send(one, large);
    turn();
    EXPECT_EQ(got.size(), 100u);
    EXPECT_EQ(got.back(), "1:" + large);
}

TEST_F(LoopbackTest, ADeviceThatIsGoneHoldsUpNobody) {
    uint16_t closed = 0;
    { closed = DeviceSocket().port(); }
    loopback->add(kOne, closed);
    const Endpoint two = loopback->add(kTwo, device.port());
    for (int i = 0; i < 3; ++i) loopback->deliver(kOne, as_bytes("lost"));
    loopback->deliver(kTwo, as_bytes("found"));
    turn();
    EXPECT_EQ(device.receive(), two.text() + " found");
}

}  // namespace
}  // namespace cvlan::agent
