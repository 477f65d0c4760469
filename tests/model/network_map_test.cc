// SPDX-License-Identifier: Apache-2.0
#include "model/network_map.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "model/relay_map.h"

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

wire::MapFragment gateway(const std::string& id, const std::string& address, char key,
                          std::vector<std::string> routes) {
    auto fragment = peer(id, address, key);
    fragment.peer->gateway = true;
    fragment.peer->routes = std::move(routes);
    return fragment;
}

wire::MapFragment hub() {
    auto fragment = network();
    fragment.network->topology = wire::Topology::Hub;
    return fragment;
}

TEST(BuildMap, InAHubANodeHasItsVrouterAndTheOthersBehindIt) {
    const std::vector<wire::MapFragment> fragments{
        hub(), peer("self", "10.1.0.1", 1), peer("b", "10.1.0.2", 2),
        gateway("gw", "10.1.0.9", 9, {"192.168.7.0/24"})};
    const auto map = built(fragments);
    const auto& lan = map.networks.at(kNet);
    ASSERT_EQ(lan.peers.size(), 1u);
    ASSERT_NE(lan.gateway(), nullptr);
    EXPECT_EQ(lan.gateway()->node_id, "gw");
    ASSERT_EQ(lan.behind.size(), 1u);
    EXPECT_EQ(lan.behind.at("b").addresses.at(0).text(), "10.1.0.2");
    EXPECT_EQ(lan.beyond_gateway(),
              (std::vector{*Prefix::parse("192.168.7.0/24"), *Prefix::parse("10.1.0.0/24")}));
    EXPECT_TRUE(map.refused.empty());
}

TEST(BuildMap, TheVrouterOfAHubHasEverybody) {
    const auto map = built({hub(), gateway("self", "10.1.0.1", 1, {"192.168.7.0/24"}),
                            peer("b", "10.1.0.2", 2), peer("c", "10.1.0.3", 3)});
    const auto& lan = map.networks.at(kNet);
    EXPECT_EQ(lan.peers.size(), 2u);
    EXPECT_TRUE(lan.behind.empty());
    EXPECT_TRUE(lan.beyond_gateway().empty()) << "its own routes lead nowhere else";
}

TEST(BuildMap, InAMeshAVrouterIsAPeerLikeOthersButForItsRoutes) {
    const auto map = built({network(), peer("self", "10.1.0.1", 1), peer("b", "10.1.0.2", 2),
                            gateway("gw", "10.1.0.9", 9, {"192.168.7.0/24"})});
    const auto& lan = map.networks.at(kNet);
    EXPECT_EQ(lan.peers.size(), 2u);
    EXPECT_EQ(lan.beyond_gateway(), std::vector{*Prefix::parse("192.168.7.0/24")});
}

TEST(BuildMap, OfTwoVroutersOneIsTaken) {
    const auto map = built({hub(), peer("self", "10.1.0.1", 1), gateway("gw1", "10.1.0.8", 8, {}),
                            gateway("gw2", "10.1.0.9", 9, {"192.168.7.0/24"})});
    const auto& lan = map.networks.at(kNet);
    EXPECT_EQ(lan.gateway()->node_id, "gw1");
    EXPECT_EQ(lan.behind.count("gw2"), 1u);
    EXPECT_EQ(map.refused.size(), 1u);
}

TEST(BuildMap, ARouteThatWouldTakeANetworkOrEverythingIsLeftOut) {
    const auto map = built(
        {network(), peer("self", "10.1.0.1", 1),
         gateway("gw", "10.1.0.9", 9, {"10.0.0.0/8", "0.0.0.0/0", "::/0", "192.168.7.0/24"})});
    EXPECT_EQ(map.networks.at(kNet).beyond_gateway(),
              std::vector{*Prefix::parse("192.168.7.0/24")});
    EXPECT_EQ(map.refused.size(), 3u);
}

TEST(BuildMap, WhoIsNoVrouterHasNoRoutes) {
    auto sly = peer("b", "10.1.0.2", 2);
    sly.peer->routes = {"192.168.7.0/24"};
    const auto map = built({network(), peer("self", "10.1.0.1", 1), sly});
    EXPECT_TRUE(map.networks.at(kNet).peers.at("b").routes.empty());
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

constexpr const char* kTenant = "00000000-0000-7000-8000-00000000ac3e";

wire::MapFragment relay(const std::string& id, const std::string& name = "one") {
    wire::MapFragment fragment;
    fragment.scope = kTenant;
    fragment.kind = wire::FragmentKind::Relay;
    fragment.id = id;
    auto& shown = fragment.relay.emplace();
    shown.name = name;
    shown.node_id = "machine";
    shown.endpoints = {"192.0.2.1:443", "nonsense"};
    shown.stun_port = 3478;
    return fragment;
}

wire::MapHead head_of_tenant() {
    wire::MapHead head;
    head.tenant_id = kTenant;
    head.node_id = "self";
    head.network_ids = {kNet};
    return head;
}

TEST(BuildMap, RelaysOfTheTenantAreThereAndPeersNameTheirHome) {
    auto here = peer("b", "10.1.0.2", 2), lost = peer("c", "10.1.0.3", 3);
    here.peer->relay_id = "r1";
    lost.peer->relay_id = "r2";
    const auto map = build_map(
        head_of_tenant(), {network(), peer("self", "10.1.0.1", 1), here, lost, relay("r1")}, 5);
    ASSERT_EQ(map.relays.size(), 1u);
    EXPECT_EQ(map.relays.at("r1").node_id, "machine");
    EXPECT_EQ(map.relays.at("r1").endpoints, std::vector{*Endpoint::parse("192.0.2.1:443")});
    EXPECT_EQ(map.networks.at(kNet).peers.at("b").relay_id, "r1");
    EXPECT_EQ(map.networks.at(kNet).peers.at("c").relay_id, "") << "that relay is gone";
    EXPECT_TRUE(map.refused.empty());
}

TEST(BuildMap, ARelayOfAnotherScopeOrABadOneIsLeftOut) {
    auto foreign = relay("r1");
    foreign.scope = kNet;
    auto gone = relay("r2");
    gone.removed = true;
    auto nowhere = relay("r3");
    nowhere.relay->endpoints = {"192.0.2.1:0"};
    auto region = relay("r4");
    region.relay->region = "a;reboot";
    auto empty = relay("r5");
    empty.relay.reset();
    const auto map = build_map(head_of_tenant(),
                               {foreign, gone, relay("r6", "../etc"), nowhere, region, empty}, 5);
    EXPECT_TRUE(map.relays.empty());
    EXPECT_EQ(map.refused.size(), 4u);
}

TEST(BuildRelayMap, HasRelaysAndTheBarredAndNothingOfANetwork) {
    wire::MapFragment barred;
    barred.scope = kTenant;
    barred.kind = wire::FragmentKind::Barred;
    barred.id = "b1";
    barred.barred.emplace().node_id = "b";
    barred.barred->until = from_unix_ms(5000);
    auto in_one = barred;
    in_one.barred->node_id = "c";
    in_one.barred->network_id = kNet;
    auto foreign = barred;
    foreign.scope = kNet;
    foreign.barred->node_id = "d";
    auto nobody = barred;
    nobody.barred.reset();
    const auto map = build_relay_map(
        head_of_tenant(),
        {network(), peer("b", "10.1.0.2", 2), relay("r1"), barred, in_one, foreign, nobody}, 5);
    EXPECT_EQ(map.relays.size(), 1u);
    EXPECT_EQ(map.barred.size(), 2u);
    EXPECT_EQ(map.refused.size(), 1u);
    EXPECT_TRUE(map.is_barred("b", kNet, from_unix_ms(4999)));
    EXPECT_FALSE(map.is_barred("b", kNet, from_unix_ms(5000)));
    EXPECT_TRUE(map.is_barred("c", kNet, from_unix_ms(0)));
    EXPECT_FALSE(map.is_barred("c", "another", from_unix_ms(0)));
    EXPECT_FALSE(map.is_barred("d", kNet, from_unix_ms(0)));
}

TEST(BuildMap, TwoNodesAreOverIpsecWhereTheNetworkSaysSoOrOneOfThemAsksForIt) {
    const auto with = [](wire::DataPlane plane, bool self_asks) {
        auto net = network();
        net.network->data_plane = plane;
        net.network->crypto_profile = wire::CryptoProfile::FipsAlgorithms;
        auto self = peer("self", "10.1.0.1", 1);
        if (self_asks) self.peer->data_plane = wire::DataPlane::Ipsec;
        auto asks = peer("b", "10.1.0.2", 2);
        asks.peer->data_plane = wire::DataPlane::Ipsec;
        return built({net, self, asks, peer("c", "10.1.0.3", 3)}).networks.at(kNet);
    };
    const auto over = [](const MapNetwork& net) {
        return std::pair(net.is_over_ipsec(net.peers.at("b")),
                         net.is_over_ipsec(net.peers.at("c")));
    };
    EXPECT_EQ(over(with(wire::DataPlane::Wireguard, true)), std::pair(false, false));
    EXPECT_EQ(over(with(wire::DataPlane::Ipsec, false)), std::pair(true, true));
    EXPECT_EQ(over(with(wire::DataPlane::Auto, false)), std::pair(true, false));
    EXPECT_EQ(over(with(wire::DataPlane::Auto, true)), std::pair(true, true));
    EXPECT_EQ(with(wire::DataPlane::Auto, true).crypto_profile,
              wire::CryptoProfile::FipsAlgorithms);
}

// What an agent of 0.1.0 does with kinds and fields that it does not know is what this one does
// with those of the next: a document of them is read, and what can not be read is one fragment.
TEST(MapFragments, OfANewerControllerAreReadOrRefusedOneByOne) {
    const std::string known = R"({"scope":"00000000-0000-7000-8000-00000000000a","kind":"PEER",)"
                              R"("id":"00000000-0000-7000-8000-00000000000b","revision":"1",)"
                              R"("peer":{"name":"b","addresses":["10.1.0.2"],)"
                              R"("dataPlane":"WIREGUARD","mood":"good"},"colour":{"red":1}})";
    EXPECT_TRUE(decode<wire::MapFragment>(known, kDocument));
    const std::string unknown = R"({"scope":"00000000-0000-7000-8000-00000000000a","kind":"MOON",)"
                                R"("id":"00000000-0000-7000-8000-00000000000b","revision":"1"})";
    EXPECT_FALSE(decode<wire::MapFragment>(unknown, kDocument));
    // ... and one that was written before there were relays.
    const std::string older = R"({"scope":"00000000-0000-7000-8000-00000000000a","kind":"PEER",)"
                              R"("id":"00000000-0000-7000-8000-00000000000b","revision":"1",)"
                              R"("peer":{"name":"b","addresses":["10.1.0.2"],)"
                              R"("dataPlane":"WIREGUARD"}})";
    const auto read = decode<wire::MapFragment>(older, kDocument);
    ASSERT_TRUE(read);
    EXPECT_FALSE(read->relay || read->barred || read->peer->relay_id);
}

}  // namespace
}  // namespace cvlan::model
