// SPDX-License-Identifier: Apache-2.0
#include "model/network_map.h"

#include <gtest/gtest.h>

namespace cvlan::model {
namespace {

constexpr const char* kNet = "00000000-0000-7000-8000-00000000000a";

wire::MapFragment network(const char* name = "lan") {
    wire::MapFragment fragment;
    fragment.scope = fragment.id = kNet;
    fragment.kind = wire::FragmentKind::Network;
    fragment.revision = 1;
    auto& shown = fragment.network.emplace();
    shown.name = name;
    shown.mtu = 1420;
    shown.ipv4 = "10.1.0.0/24";
    return fragment;
}

wire::MapFragment peer(const std::string& id, const std::string& address, char key) {
    wire::MapFragment fragment;
    fragment.scope = kNet;
    fragment.kind = wire::FragmentKind::Peer;
    fragment.id = id;
    fragment.revision = 1;
    auto& shown = fragment.peer.emplace();
    shown.name = id;
    shown.addresses = {address};
    shown.wireguard_public_key = base64(Bytes(32, static_cast<uint8_t>(key)));
    return fragment;
}

NetworkMap built(std::vector<wire::MapFragment> fragments) {
    wire::MapHead head;
    head.node_id = "self";
    head.network_ids = {kNet};
    head.revision = 3;
    return build_map(head, fragments, 5);
}

TEST(BuildMap, SelfAndPeersFindTheirPlace) {
    const auto map = built({network(), peer("self", "10.1.0.1", 1), peer("b", "10.1.0.2", 2)});
    ASSERT_EQ(map.networks.size(), 1u);
    const auto& lan = map.networks.at(kNet);
    EXPECT_EQ(lan.self.addresses.at(0).text(), "10.1.0.1");
    EXPECT_EQ(lan.peers.size(), 1u);
    EXPECT_EQ(map.revision, 5);
    EXPECT_TRUE(map.refused.empty());
}

TEST(BuildMap, OneBadPeerIsLeftOutWithItsReasonAndSpoilsNoOther) {
    auto named = peer("c", "10.1.0.4", 4);
    named.peer->name = "a;reboot";
    auto short_key = peer("d", "10.1.0.5", 5);
    short_key.peer->wireguard_public_key = "AAAA";
    const auto map = built({network(), peer("self", "10.1.0.1", 1), peer("b", "10.9.0.2", 2), named,
                            short_key, peer("e", "10.1.0.6", 6)});
    EXPECT_EQ(map.networks.at(kNet).peers.size(), 1u);
    ASSERT_EQ(map.refused.size(), 3u);
    EXPECT_EQ(map.refused[0], "peer b: address 10.9.0.2 is outside the network");
}

TEST(BuildMap, AnAddressOrKeyBelongsToTheFirstWhoClaimsIt) {
    const auto map = built({network(), peer("self", "10.1.0.1", 1), peer("b", "10.1.0.1", 2),
                            peer("c", "10.1.0.3", 1)});
    EXPECT_TRUE(map.networks.at(kNet).peers.empty());
    EXPECT_EQ(map.refused.size(), 2u);
}

TEST(BuildMap, ARefusedPeerClaimsNothingThatALaterOneNeeds) {
    auto greedy = peer("b", "10.1.0.2", 1);  // the key is this node's
    auto double_address = peer("c", "10.1.0.3", 3);
    double_address.peer->addresses.push_back("10.1.0.1");  // this node's too
    const auto map = built({network(), peer("self", "10.1.0.1", 1), greedy, double_address,
                            peer("d", "10.1.0.2", 4), peer("e", "10.1.0.3", 3)});
    const auto& peers = map.networks.at(kNet).peers;
    EXPECT_EQ(peers.size(), 2u);
    EXPECT_TRUE(peers.contains("d"));
    EXPECT_TRUE(peers.contains("e"));
    EXPECT_EQ(map.refused.size(), 2u);
}

TEST(BuildMap, NobodyTakesThisNodesOwnPlaceByComingFirst) {
    const auto map = built({network(), peer("b", "10.1.0.1", 2), peer("self", "10.1.0.1", 1)});
    ASSERT_EQ(map.networks.size(), 1u);
    EXPECT_EQ(map.networks.at(kNet).self.addresses.at(0).text(), "10.1.0.1");
    EXPECT_EQ(map.refused,
              std::vector<std::string>{"peer b: address 10.1.0.1 belongs to node self already"});
}

TEST(BuildMap, TombstonesForeignScopesAndAMissingSelfAreLeftOut) {
    auto gone = peer("b", "10.1.0.2", 2);
    gone.removed = true;
    auto foreign = peer("c", "10.1.0.3", 3);
    foreign.scope = "other";
    EXPECT_TRUE(built({network(), peer("self", "10.1.0.1", 1), gone, foreign})
                    .networks.at(kNet)
                    .peers.empty());
    const auto without_self = built({network(), peer("b", "10.1.0.2", 2)});
    EXPECT_TRUE(without_self.networks.empty());
    EXPECT_EQ(without_self.refused.size(), 1u);
    EXPECT_TRUE(built({network("../etc"), peer("self", "10.1.0.1", 1)}).networks.empty());
}

}  // namespace
}  // namespace cvlan::model
