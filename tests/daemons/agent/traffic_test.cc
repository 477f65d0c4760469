// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/traffic.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace cvlan::agent {
namespace {

const WallTime kStart = from_unix_ms(1'700'000'000'000);

struct TrafficTest : testing::Test {
    ManualClock clock{kStart};
    Traffic traffic{clock};
    wg::PublicKey one = key(1), two = key(2);

    static wg::PublicKey key(uint8_t first) {
        Bytes bytes(32, 7);
        bytes[0] = first;
        return *wg::PublicKey::parse(base64(bytes));
    }
    static wg::Peer peer(const wg::PublicKey& of, uint64_t received, uint64_t sent) {
        wg::Peer made;
        made.public_key = of;
        made.rx_bytes = received;
        made.tx_bytes = sent;
        return made;
    }
    template <class... Peers>
    void look(Peers... peers) {
        wg::Device device;
        (device.peers.push_back(std::move(peers)), ...);
        traffic.look("n", device);
    }
    std::pair<int64_t, int64_t> total() {
        const auto told = traffic.told();
        EXPECT_EQ(told.size(), 1u);
        EXPECT_EQ(told[0].counted_since, kStart);
        return {told[0].received_bytes, told[0].sent_bytes};
    }
    using Total = std::pair<int64_t, int64_t>;
};

TEST_F(TrafficTest, WhatWasCarriedBeforeTheFirstLookIsNotCounted) {
    EXPECT_TRUE(traffic.told().empty());
    look(peer(one, 1000, 500));
    EXPECT_EQ(total(), Total(0, 0));
    look(peer(one, 1100, 507));
    EXPECT_EQ(total(), Total(100, 7));
}

TEST_F(TrafficTest, ACounterThatWentBackCountsFromZero) {
    look(peer(one, 1000, 500));
    look(peer(one, 30, 600));
    EXPECT_EQ(total(), Total(30, 100));
}

TEST_F(TrafficTest, ANetworkThatIsLeftAndComesBackBeginsAnew) {
    model::NetworkMap map;
    map.networks["n"];
    look(peer(one, 0, 0));
    look(peer(one, 1000, 500));
    clock.advance(std::chrono::seconds(5));
    traffic.keep_those_of(map);
    EXPECT_EQ(total(), Total(1000, 500));
    map.networks.clear();
    traffic.keep_those_of(map);
    EXPECT_TRUE(traffic.told().empty());
    look(peer(one, 10, 5));
    look(peer(one, 13, 6));
    const auto told = traffic.told();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].counted_since, clock.now());
    EXPECT_EQ(Total(told[0].received_bytes, told[0].sent_bytes), Total(3, 1));
}

TEST_F(TrafficTest, NoMoreIsToldThanAControllerTakes) {
    look(peer(one, 0, 0));
    look(peer(one, UINT64_MAX, 1));
    EXPECT_EQ(total(), Total(int64_t{1} << 60, 1));
}

TEST_F(TrafficTest, APeerThatComesIsCountedFromZeroAndOneThatGoesTakesNothingWithIt) {
    look(peer(one, 0, 0));
    look(peer(one, 10, 1), peer(two, 20, 2));
    EXPECT_EQ(total(), Total(30, 3));
    look(peer(two, 20, 2));
    EXPECT_EQ(total(), Total(30, 3));
    look(peer(two, 25, 2));
    EXPECT_EQ(total(), Total(35, 3));
}

}  // namespace
}  // namespace cvlan::agent
