// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/moves.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "reconcile/marks.h"

namespace cvlan::agent {
namespace {

using namespace std::chrono_literals;
using model::wire::DataPlane;
using reconcile::Observed;

const std::string kNet = "0193c000-0000-7000-8000-0000000000aa";
constexpr uint32_t kIndex = 3;

std::string key(int n) { return base64(Bytes(32, static_cast<uint8_t>(n))); }

struct MovesTest : testing::Test {
    MovesTest() {
        network.id = kNet;
        network.ipv4 = *Prefix::parse("10.1.0.0/24");
        network.self.addresses = {*Address::parse("10.1.0.1")};
        for (const int n : {2, 3}) add(n);
    }
    void add(int n) {
        model::MapPeer& peer = network.peers[id(n)];
        peer.node_id = id(n);
        peer.addresses = {*Address::parse("10.1.0." + std::to_string(n))};
        peer.wireguard_key = key(n);
    }
    static std::string id(int n) { return "n" + std::to_string(n); }
    Moves::Network look(std::chrono::seconds after = 1s) {
        now += after;
        return moves.look(
            {network, kIndex, seen,
             [this](const model::MapPeer& peer, Carrier carrier) {
                 return Moves::Tunnel{standing.contains({peer.node_id, carrier}), taken};
             },
             now, may_move});
    }
    // As the kernel is for a network of this carrier alone.
    void kernel_has(Carrier carrier) {
        const bool ipsec = carrier == Carrier::Ipsec;
        const std::string device =
            ipsec ? reconcile::xfrm_device_name(kNet) : reconcile::device_name(kNet);
        seen.links.push_back({device, kNet, 1420, true, ipsec ? 1U : 0U});
        route("10.1.0.0/24", device);
        if (ipsec) return;
        wg::Device& wireguard = seen.wireguard.emplace_back();
        wireguard.name = device;
        for (const auto& [node_id, peer] : network.peers)
            wireguard.peers.emplace_back().public_key = *wg::PublicKey::parse(peer.wireguard_key);
    }
    void route(const char* to, const std::string& device) {
        seen.routes.push_back(reconcile::device_route(
            reconcile::kTableBase + kIndex, *Prefix::parse(to), device, network.self.addresses[0]));
    }

    model::MapNetwork network;
    Observed seen;
    std::set<std::pair<std::string, Carrier>> standing;
    uint64_t taken = 0;
    bool may_move = true;
    BootTime now{1000s};
    Moves moves;
};

TEST_F(MovesTest, WhatTheMapSaysOfANewNetworkHoldsAtOnce) {
    network.data_plane = DataPlane::Auto;
    network.peers["n2"].asks_for_ipsec = true;
    const auto places = look();
    EXPECT_EQ(places.prefixes, Carrier::Wireguard);
    EXPECT_EQ(places.peers.at("n2").route, Carrier::Ipsec);
    EXPECT_FALSE(places.peers.at("n2").on_wireguard) << "it never was";
    EXPECT_EQ(places.peers.at("n3").route, Carrier::Wireguard);
    EXPECT_FALSE(places.peers.at("n3").on_ipsec);
    EXPECT_TRUE(places.has(Carrier::Ipsec) && places.has(Carrier::Wireguard));
    EXPECT_FALSE(moves.is_moving() || moves.is_lingering());
}

TEST_F(MovesTest, PeersMoveOneByOneAsTheirTunnelsStandAndThePrefixWithTheLast) {
    look();
    standing = {{"n2", Carrier::Wireguard}, {"n3", Carrier::Wireguard}};
    network.data_plane = DataPlane::Ipsec;
    auto places = look();
    EXPECT_EQ(places.peers.at("n2").route, Carrier::Wireguard);
    EXPECT_TRUE(places.peers.at("n2").is_moving && places.peers.at("n2").on_ipsec);
    EXPECT_TRUE(places.peers.at("n2").is_awaited);
    EXPECT_TRUE(moves.is_moving());

    standing.insert({"n2", Carrier::Ipsec});
    places = look();
    EXPECT_EQ(places.peers.at("n2").route, Carrier::Ipsec);
    EXPECT_TRUE(places.peers.at("n2").on_wireguard) << "for what still comes that way";
    EXPECT_EQ(places.peers.at("n3").route, Carrier::Wireguard);
    EXPECT_EQ(places.prefixes, Carrier::Wireguard);

    standing.insert({"n3", Carrier::Ipsec});
    places = look();
    EXPECT_EQ(places.peers.at("n3").route, Carrier::Ipsec);
    EXPECT_EQ(places.prefixes, Carrier::Ipsec);
    EXPECT_TRUE(places.has(Carrier::Wireguard));
    EXPECT_FALSE(moves.is_moving());
    EXPECT_TRUE(moves.is_lingering());

    places = look(kOldTunnelLife);
    EXPECT_FALSE(places.has(Carrier::Wireguard));
    EXPECT_FALSE(moves.is_lingering());
}

TEST_F(MovesTest, AnOldTunnelTakesWhatTheOtherEndStillSends) {
    look();
    network.data_plane = DataPlane::Ipsec;
    for (const char* id : {"n2", "n3"}) standing.insert({id, Carrier::Ipsec});
    look();
    for (int i = 0; i < 3; ++i) {
        ++taken;
        EXPECT_TRUE(look(kOldTunnelLife - 1s).has(Carrier::Wireguard));
    }
    EXPECT_TRUE(look(kOldTunnelLife - 1s).has(Carrier::Wireguard));
    EXPECT_FALSE(look(1s).has(Carrier::Wireguard));
}

TEST_F(MovesTest, AnOldTunnelThatIsNeverSilentGoesAtLast) {
    look();
    network.data_plane = DataPlane::Ipsec;
    for (const char* id : {"n2", "n3"}) standing.insert({id, Carrier::Ipsec});
    look();
    for (auto left = kOldTunnelMost; left > 10s; left -= 10s) {
        ++taken;
        EXPECT_TRUE(look(10s).has(Carrier::Wireguard));
    }
    ++taken;
    EXPECT_FALSE(look(10s).has(Carrier::Wireguard));
}

// As when charon takes its time, or the other end has no map yet.
TEST_F(MovesTest, WhatStandsIsNotLeftForWhatDoesNotUntilTheMapHasToHold) {
    standing.insert({"n2", Carrier::Wireguard});
    look();
    network.data_plane = DataPlane::Ipsec;
    look();
    EXPECT_EQ(look(kMoveAtLast - 1s).peers.at("n2").route, Carrier::Wireguard);
    EXPECT_EQ(look(0s).peers.at("n3").route, Carrier::Ipsec) << "nothing stands there to be lost";
    EXPECT_EQ(look(1s).peers.at("n2").route, Carrier::Ipsec);
}

TEST_F(MovesTest, ALookAtWhatWouldBeDoneMovesNobody) {
    look();
    network.data_plane = DataPlane::Ipsec;
    standing.insert({"n2", Carrier::Ipsec});
    may_move = false;
    EXPECT_EQ(look().peers.at("n2").route, Carrier::Wireguard);
    may_move = true;
    EXPECT_EQ(look().peers.at("n2").route, Carrier::Ipsec);
}

// It has no tunnel to lose, and is not called: the next packet does that.
TEST_F(MovesTest, APeerWithoutATunnelMovesWithoutANewOne) {
    look();
    network.data_plane = DataPlane::Ipsec;
    EXPECT_FALSE(look().peers.at("n2").is_awaited);
    EXPECT_EQ(look(kMovePatience - 1s).peers.at("n2").route, Carrier::Wireguard);
    EXPECT_EQ(look(1s).peers.at("n2").route, Carrier::Ipsec);
}

TEST_F(MovesTest, ANetworkThatIsSwitchedBackInBetweenStaysWhereItIs) {
    look();
    network.data_plane = DataPlane::Ipsec;
    look();
    network.data_plane = DataPlane::Wireguard;
    const auto places = look();
    EXPECT_EQ(places.peers.at("n2").route, Carrier::Wireguard);
    EXPECT_FALSE(places.has(Carrier::Ipsec));
    EXPECT_FALSE(moves.is_moving());
}

// Its packets would else go by WireGuard for a while, which it is not to be reached by.
TEST_F(MovesTest, APeerThatIsNewIsWhereItBelongsAtOnce) {
    network.data_plane = DataPlane::Auto;
    look();
    add(4);
    network.peers["n4"].asks_for_ipsec = true;
    EXPECT_EQ(look().peers.at("n4").route, Carrier::Ipsec);
    EXPECT_FALSE(look().peers.at("n4").on_wireguard);
    network.peers.erase("n4");
    EXPECT_FALSE(look().has(Carrier::Ipsec));
}

TEST_F(MovesTest, AnAgentThatStartsInBetweenGoesOnFromWhatTheKernelHas) {
    kernel_has(Carrier::Wireguard);
    seen.links.push_back({reconcile::xfrm_device_name(kNet), kNet, 1420, true, 1});
    route("10.1.0.2/32", reconcile::xfrm_device_name(kNet));
    network.data_plane = DataPlane::Ipsec;
    const auto places = look();
    EXPECT_EQ(places.peers.at("n2").route, Carrier::Ipsec);
    EXPECT_TRUE(places.peers.at("n2").on_wireguard);
    EXPECT_EQ(places.peers.at("n3").route, Carrier::Wireguard);
    EXPECT_TRUE(places.peers.at("n3").is_moving);
    EXPECT_EQ(places.prefixes, Carrier::Wireguard);
}

TEST_F(MovesTest, AnAgentThatStartsAndFindsItAsItShouldBeHasNothingToMove) {
    kernel_has(Carrier::Ipsec);
    network.data_plane = DataPlane::Ipsec;
    EXPECT_FALSE(look().has(Carrier::Wireguard));
    EXPECT_FALSE(moves.is_moving() || moves.is_lingering());
    // A network that is left and joined again is a new one.
    moves.keep_only([](const std::string&) { return false; });
    EXPECT_EQ(moves.of(kNet), nullptr);
}

}  // namespace
}  // namespace cvlan::agent
