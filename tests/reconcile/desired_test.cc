// SPDX-License-Identifier: Apache-2.0
#include "reconcile/desired.h"

#include <gmock/gmock.h>

#include "reconcile/plan.h"
#include "reconcile/tenant_host.h"
#include "tests/reconcile/samples.h"

namespace cvlan::reconcile {
namespace {

using namespace samples;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(DesiredState, OfANetworkIsDeviceAddressesPeersRoutesAndRules) {
    const Desired want = want_peers({2});
    EXPECT_THAT(want.links, ElementsAre(Link{kDevice, kNetwork, 1420}));
    EXPECT_THAT(want.addresses, ElementsAre(DeviceAddress{kDevice, address("10.100.0.1"), 32},
                                            DeviceAddress{kDevice, address("fd00:100::1"), 128}));
    ASSERT_EQ(want.wireguard.size(), 1u);
    EXPECT_EQ(want.wireguard[0].listen_port, 51820);
    EXPECT_EQ(want.wireguard[0].fwmark, 0xCA000000);
    ASSERT_EQ(want.wireguard[0].peers.size(), 1u);
    const WgPeer& peer = want.wireguard[0].peers[0];
    EXPECT_EQ(peer.key, key(2));
    EXPECT_THAT(peer.allowed_ips, ElementsAre(prefix("10.100.0.2/32"), prefix("fd00:100::2/128")));
    EXPECT_EQ(peer.endpoint, endpoint("192.0.2.2:51820"));
    EXPECT_EQ(want.routes.size(), 2u);
    EXPECT_EQ(want.routes[0].table, 52000u);
    EXPECT_EQ(want.routes[0].source, address("10.100.0.1"));
    EXPECT_THAT(want.rules, ElementsAre(policy_rule(Family::V4, 0), policy_rule(Family::V6, 0)));
    EXPECT_THAT(want.refused, IsEmpty());
}

TEST(DesiredState, NamesADeviceByTheHashOfItsNetwork) {
    EXPECT_EQ(kDevice.size(), 13u);
    EXPECT_EQ(kDevice.substr(0, 3), "cv-");
    EXPECT_NE(kDevice, kOtherDevice);
    EXPECT_EQ(network_of_alias(alias_of(kNetwork)), kNetwork);
    EXPECT_EQ(network_of_alias("someone's"), "");
}

TEST(DesiredState, GivesANetworkWithoutIpv6NoIpv6RouteOrRule) {
    const Desired want = desired_state(map_of({other_network()}), self());
    EXPECT_EQ(want.addresses.size(), 1u);
    EXPECT_EQ(want.routes.size(), 1u);
    EXPECT_THAT(want.rules, ElementsAre(policy_rule(Family::V4, 1)));
    EXPECT_EQ(want.wireguard[0].fwmark, 0xCA000001);
}

TEST(DesiredState, WantsNothingWhenDown) {
    NodeConfig down = self();
    down.down = true;
    EXPECT_TRUE(desired_state(map_of({map_network({2})}), down).empty());
}

TEST(DesiredState, TakesEndpointAndKeepaliveFromTheAgentWhereItHasThem) {
    NodeConfig config = self();
    config.networks[kNetwork].peers[key(2)] = {
        .endpoint = endpoint("198.51.100.7:1000"), .move_endpoint = true, .keepalive_seconds = 25};
    const Desired want = desired_state(map_of({map_network({2, 3})}), config);
    EXPECT_EQ(want.wireguard[0].peers[0].endpoint, endpoint("198.51.100.7:1000"));
    EXPECT_TRUE(want.wireguard[0].peers[0].move_endpoint);
    EXPECT_EQ(want.wireguard[0].peers[0].keepalive_seconds, 25);
    EXPECT_EQ(want.wireguard[0].peers[1].endpoint, endpoint("192.0.2.3:51820"));
    EXPECT_EQ(want.wireguard[0].peers[1].keepalive_seconds, 0);
}

TEST(DesiredState, LeavesOutAPeerThatClashesAndKeepsTheRest) {
    model::MapNetwork network = map_network({2, 3, 4, 5, 6});
    network.peers["node-3"].addresses = network.peers["node-2"].addresses;  // taken
    network.peers["node-4"].wireguard_key = key(2).text();                  // taken
    network.peers["node-5"].wireguard_key = device_key(1).public_key().text();
    network.peers["node-6"].wireguard_key = wg::PublicKey().text();
    const Desired want = desired_state(map_of({network}), self());
    ASSERT_EQ(want.wireguard[0].peers.size(), 1u);
    EXPECT_EQ(want.wireguard[0].peers[0].key, key(2));
    EXPECT_THAT(want.refused,
                ElementsAre(HasSubstr("node-3: address 10.100.0.2 belongs to node node-2"),
                            HasSubstr("node-4: its key belongs to node node-2"),
                            HasSubstr("node-5: has this node's own key"),
                            HasSubstr("node-6: the all-zero key")));
}

TEST(DesiredState, LeavesOutAPeerThatWouldTakeThisNodesAddress) {
    model::MapNetwork network = map_network({2, 3});
    network.peers["node-3"].addresses = network.self.addresses;
    const Desired want = desired_state(map_of({network}), self());
    EXPECT_EQ(want.wireguard[0].peers.size(), 1u);
    EXPECT_THAT(want.refused, ElementsAre(HasSubstr("belongs to node node-1 already")));
}

TEST(DesiredState, LeavesOutAPeerWithoutAWireguardKeySilently) {
    model::MapNetwork network = map_network({2});
    network.peers["node-2"].wireguard_key.clear();
    const Desired want = desired_state(map_of({network}), self());
    EXPECT_THAT(want.wireguard[0].peers, IsEmpty());
    EXPECT_THAT(want.refused, IsEmpty());
}

TEST(DesiredState, RefusesANetworkWithoutContextOrIndexAndKeepsTheOther) {
    NodeConfig config = self();
    config.networks.erase(kNetwork);
    Desired want = desired_state(map_of({map_network({2}), other_network()}), config);
    EXPECT_THAT(want.links, ElementsAre(Link{kOtherDevice, kOther, 1420}));
    EXPECT_THAT(want.refused, ElementsAre(HasSubstr("no key")));

    config = self();
    config.networks[kOther].index = 0;
    want = desired_state(map_of({map_network({2}), other_network()}), config);
    EXPECT_EQ(want.links.size(), 1u);
    EXPECT_THAT(want.refused, ElementsAre(HasSubstr("index 0 is another network's")));

    config.networks[kOther].index = kIndexes;
    want = desired_state(map_of({other_network()}), config);
    EXPECT_TRUE(want.empty());
    EXPECT_THAT(want.refused, ElementsAre(HasSubstr("out of range")));
}

TEST(DesiredState, PrefersTheNodesOwnMtu) {
    NodeConfig config = self();
    config.networks[kNetwork].mtu = 1280;
    EXPECT_EQ(desired_state(map_of({map_network({})}), config).links[0].mtu, 1280u);
}

TEST(DesiredState, ANetworkOverIpsecWantsAnInterfaceAndGuardsItsPackets) {
    const Desired want = want_ipsec(3);
    EXPECT_THAT(want.links, ElementsAre(Link{kXfrmDevice, kNetwork, 1414, 0xca000003}));
    EXPECT_THAT(want.wireguard, IsEmpty());
    EXPECT_THAT(want.addresses,
                ElementsAre(DeviceAddress{kXfrmDevice, address("10.100.0.1"), 32},
                            DeviceAddress{kXfrmDevice, address("fd00:100::1"), 128}));
    EXPECT_EQ(diff(want, Observed()).text(),
              "add link " + kXfrmDevice + " kind xfrm if_id 0xca000003 mtu 1414 up\n" +
                  "set address " + kXfrmDevice + " 10.100.0.1/32\n" +  //
                  "set address " + kXfrmDevice + " fd00:100::1/128\n" +
                  "set route 10.100.0.0/16 table 52003 dev " + kXfrmDevice + " src 10.100.0.1\n" +
                  "set route 10.100.0.0/16 table 52003 unreachable\n" +
                  "set route fd00:100::/64 table 52003 dev " + kXfrmDevice + " src fd00:100::1\n" +
                  "set route fd00:100::/64 table 52003 unreachable\n" +
                  "set rule ipv4 5203 not fwmark 0xca000000/0xff000000 lookup 52003\n" +
                  "set rule ipv6 5203 not fwmark 0xca000000/0xff000000 lookup 52003\n");
}

TEST(DesiredState, ANetworkOverIpsecNeedsNoKeyAndKeepsTheLeastMtu) {
    NodeConfig config;
    config.networks[kNetwork].ipsec = true;
    model::MapNetwork network = map_network({2});
    network.mtu = 1280;
    Desired want = desired_state(map_of({network}), config);
    EXPECT_THAT(want.refused, IsEmpty());
    EXPECT_EQ(want.links.at(0).mtu, 1280u);
    config.networks[kNetwork].mtu = 1400;
    EXPECT_EQ(desired_state(map_of({network}), config).links.at(0).mtu, 1400u);
}

model::MapNetwork with_gateway(const std::vector<std::string>& routes) {
    model::MapNetwork network = map_network({2, 9});
    model::MapPeer& gateway = network.peers.at("node-9");
    gateway.gateway = true;
    for (const std::string& route : routes) gateway.routes.push_back(prefix(route));
    return network;
}

TEST(DesiredState, WhatIsBehindAVrouterGoesToIt) {
    const Desired want =
        desired_state(map_of({with_gateway({"192.168.7.0/24", "fd07::/64"})}), self());
    const auto& peers = want.wireguard.at(0).peers;
    EXPECT_THAT(peers[0].allowed_ips,
                ElementsAre(prefix("10.100.0.2/32"), prefix("fd00:100::2/128")));
    EXPECT_THAT(peers[1].allowed_ips, ElementsAre(prefix("10.100.0.9/32"), prefix("192.168.7.0/24"),
                                                  prefix("fd00:100::9/128"), prefix("fd07::/64")));
    ASSERT_EQ(want.routes.size(), 4u);
    EXPECT_EQ(want.routes[1],
              device_route(52000, prefix("192.168.7.0/24"), kDevice, address("10.100.0.1")));
    EXPECT_EQ(want.rules.size(), 2u) << "no more than without";
    EXPECT_THAT(want.refused, IsEmpty());
}

TEST(DesiredState, WhatIsForAForeignSiteLeavesTheGatewayByNoOtherWay) {
    model::MapNetwork network = map_network({2});
    network.self.gateway = true;
    network.connections["site"].remote_subnets = {prefix("192.168.7.0/24"), prefix("fd07::/64")};
    const Desired want = desired_state(map_of({network}), self());
    EXPECT_THAT(want.routes, testing::Contains(guard_route(52000, prefix("192.168.7.0/24"))));
    EXPECT_THAT(want.routes, testing::Contains(guard_route(52000, prefix("fd07::/64"))));
}

TEST(DesiredState, InAHubTheWholeNetworkGoesToTheVrouter) {
    model::MapNetwork network = with_gateway({});
    network.topology = model::wire::Topology::Hub;
    network.behind.insert(network.peers.extract("node-2"));
    const Desired want = desired_state(map_of({network}), self());
    ASSERT_EQ(want.wireguard.at(0).peers.size(), 1u);
    EXPECT_THAT(want.wireguard[0].peers[0].allowed_ips,
                ElementsAre(prefix("10.100.0.0/16"), prefix("10.100.0.9/32"),
                            prefix("fd00:100::/64"), prefix("fd00:100::9/128")));
    EXPECT_EQ(want.routes.size(), 2u) << "the network's own, which are there anyway";
}

TEST(DesiredState, ARouteThatHoldsThisMachinesAddressIsNotUsed) {
    NodeConfig config = self();
    config.underlay = {address("192.168.7.20")};
    const Desired want =
        desired_state(map_of({with_gateway({"192.168.7.0/24", "192.168.8.0/24"})}), config);
    EXPECT_EQ(want.routes.size(), 3u);
    EXPECT_THAT(
        want.refused,
        ElementsAre(HasSubstr("192.168.7.0/24: holds this machine's address 192.168.7.20")));
}

TEST(DesiredState, ARouteOfAFamilyThatTheNetworkHasNotIsToldOf) {
    model::MapNetwork network = other_network();
    network.peers["node-9"] = map_peer(9);
    network.peers["node-9"].addresses = {address("10.200.0.9")};
    network.peers["node-9"].gateway = true;
    network.peers["node-9"].routes = {prefix("fd07::/64")};
    const Desired want = desired_state(map_of({network}), self());
    EXPECT_THAT(want.refused, ElementsAre(HasSubstr("no address of its family")));
}

TEST(DesiredState, ALinkIsInTheNamespaceOfItsTenant) {
    NodeConfig config = self();
    config.netns = "cvlan-one";
    const Desired want = desired_state(map_of({map_network({2})}), config);
    EXPECT_EQ(want.links.at(0).netns, "cvlan-one");
}

TEST(PartOf, ANamespaceHasWhatStandsOnItsLinks) {
    NodeConfig config = self();
    config.netns = "one";
    Desired want = desired_state(map_of({map_network({2})}), config);
    config.netns = "two";
    want.add(desired_state(map_of({other_network()}), config));
    const Desired two = part_of(want, "two");
    ASSERT_EQ(two.links.size(), 1u);
    EXPECT_EQ(two.links[0].device, kOtherDevice);
    EXPECT_EQ(two.addresses.size(), 1u);
    EXPECT_EQ(two.wireguard.size(), 1u);
    EXPECT_EQ(two.routes.size(), 1u);
    EXPECT_THAT(two.rules, ElementsAre(policy_rule(Family::V4, 1)));
    EXPECT_EQ(part_of(want, "one").rules.size(), 2u);
    EXPECT_TRUE(part_of(want, "three").empty());
}

TEST(DesiredState, APeerThatIsNotWhereItsNetworkIsHasRoutesOfItsOwn) {
    NodeConfig config = self();
    NetworkContext& own = config.networks[kNetwork];
    own.has_both = true;
    own.places["node-3"] = {Carrier::Ipsec, false};
    const Desired want = desired_state(map_of({map_network({2, 3})}), config);
    EXPECT_THAT(want.refused, IsEmpty());
    ASSERT_EQ(want.links.size(), 2u);
    EXPECT_EQ(want.addresses.size(), 4u) << "both addresses on both devices";
    ASSERT_EQ(want.wireguard.at(0).peers.size(), 1u) << "the other is not reached by WireGuard";
    std::string routes;
    for (const DeviceRoute& route : want.routes)
        if (route.destination.family() == Family::V4) routes += text(SetRoute{route}) + "\n";
    EXPECT_EQ(routes, "set route 10.100.0.0/16 table 52000 dev " + kDevice +
                          " src 10.100.0.1\n"
                          "set route 10.100.0.0/16 table 52000 unreachable\n"
                          "set route 10.100.0.3/32 table 52000 dev " +
                          kXfrmDevice +
                          " src 10.100.0.1\n"
                          "set route 10.100.0.3/32 table 52000 unreachable\n");
    // And the other way round, where it is still on WireGuard.
    own.ipsec = true;
    own.places["node-3"] = {Carrier::Wireguard, true};
    const Desired moving = desired_state(map_of({map_network({2, 3})}), config);
    ASSERT_EQ(moving.wireguard.at(0).peers.size(), 1u);
    EXPECT_EQ(std::count_if(moving.routes.begin(), moving.routes.end(),
                            [](const auto& route) { return route.device == kDevice; }),
              2);
}

TEST(DesiredAdd, AnIndexIsOneNetworksInEitherDataPlane) {
    Desired want = want_ipsec(1);
    want.add(desired_state(map_of({other_network()}), self()));
    EXPECT_EQ(want.links.size(), 1u);
    EXPECT_THAT(want.refused, ElementsAre(HasSubstr("two identities")));
}

TEST(DesiredAdd, JoinsTwoIdentities) {
    Desired want = want_peers({2});
    want.add(desired_state(map_of({other_network()}), self()));
    EXPECT_EQ(want.links.size(), 2u);
    EXPECT_EQ(want.rules.size(), 3u);
    EXPECT_TRUE(std::is_sorted(want.links.begin(), want.links.end()));
    EXPECT_THAT(want.refused, IsEmpty());
}

TEST(DesiredAdd, RefusesASecondIdentityWithTheSameIndex) {
    NodeConfig config = self();
    config.networks[kOther].index = 0;
    Desired want = want_peers({2});
    want.add(desired_state(map_of({other_network()}), config));
    EXPECT_EQ(want.links.size(), 1u);
    EXPECT_THAT(want.refused, ElementsAre(HasSubstr("two identities")));
}

}  // namespace
}  // namespace cvlan::reconcile
