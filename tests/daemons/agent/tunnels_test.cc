// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/tunnels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcile/marks.h"
#include "tests/daemons/agent/support.h"

namespace cvlan::agent {
namespace {

using namespace testing;

const std::string kSecond = "0193c000-0000-7000-8000-0000000000aa";

model::MapNetwork network(const std::string& id, model::wire::DataPlane plane) {
    model::MapNetwork made;
    made.id = id;
    made.data_plane = plane;
    made.self.addresses = {*Address::parse("10.100.0.1")};
    model::MapPeer& peer = made.peers[kOther];
    peer.node_id = kOther;
    peer.addresses = {*Address::parse("10.100.0.2"), *Address::parse("fd00::2")};
    peer.wireguard_key = wireguard_key(2);
    peer.endpoints = {*Endpoint::parse("198.51.100.9:51820"), *Endpoint::parse("192.0.2.9:51820"),
                      *Endpoint::parse("192.0.2.9:51821")};
    return made;
}

class TunnelsTest : public ::testing::Test {
protected:
    TunnelsTest() {
        agent.slots = {{kNetwork, 3}, {kSecond, 4}};
        underlay.subnets = {*Prefix::parse("192.0.2.0/24")};
        underlay.has_v4 = true;
        map.networks[kNetwork] = network(kNetwork, model::wire::DataPlane::Ipsec);
    }
    ike::Wanted wanted() {
        ike::Wanted want;
        const auto done = want_tunnels({identity, map, underlay, agent, {}, paths, places}, want);
        EXPECT_TRUE(done) << done.error().message;
        return want;
    }

    Issuer issuer;
    Identity identity = enrolled_node(issuer);
    model::NetworkMap map;
    reach::Underlay underlay;
    state::AgentState agent;
    TunnelPaths paths;
    std::function<const Moves::Network*(const std::string&)> places{};
};

TEST_F(TunnelsTest, APeerHasOneConnectionWithAChildANetwork) {
    map.networks[kSecond] = network(kSecond, model::wire::DataPlane::Ipsec);
    const auto want = wanted();
    ASSERT_EQ(want.tunnels.size(), 1u);
    const auto& connection = want.tunnels.begin()->second.connection;
    EXPECT_EQ(connection.name, "cvlan-" + kOther);
    // Its addresses, each once, the one of our own subnet first.
    EXPECT_EQ(connection.remote_addrs, (vici::Texts{"192.0.2.9", "198.51.100.9", "%any"}));
    ASSERT_EQ(connection.children.size(), 2u);
    EXPECT_EQ(connection.children[0].if_id_in, 0xca000003u);
    EXPECT_EQ(connection.children[1].if_id_in, 0xca000004u);
    EXPECT_EQ(connection.children[0].remote_ts, (vici::Texts{"10.100.0.2/32", "fd00::2/128"}));
    ASSERT_EQ(want.identities.size(), 1u);
    EXPECT_EQ(connection.local.at(0).id, "fqdn:" + identity.server_name());
    EXPECT_GE(want.identities[0].certificates.size(), 1u);
}

TEST_F(TunnelsTest, APeerThatAnswersAtAPortOfItsNatOrOfARelayIsCalledThere) {
    const auto key =
        std::pair(reconcile::xfrm_device_name(kNetwork), *wg::PublicKey::parse(wireguard_key(2)));
    const auto connection = [this] { return wanted().tunnels.begin()->second.connection; };
    paths[key] = *Endpoint::parse("203.0.113.5:40001");
    EXPECT_EQ(connection().remote_addrs, (vici::Texts{"203.0.113.5", "%any"}));
    EXPECT_EQ(connection().remote_port, 40001);
    EXPECT_EQ(connection().local_port, 4500);
    // What has answered at the usual one is only preferred.
    paths[key] = *Endpoint::parse("198.51.100.9:4500");
    EXPECT_EQ(connection().remote_addrs, (vici::Texts{"198.51.100.9", "192.0.2.9", "%any"}));
    EXPECT_EQ(connection().remote_port, std::nullopt);
}

TEST_F(TunnelsTest, APeerIsCalledUntilItHasLetUsIn) {
    auto status = std::make_shared<ike::Status>();
    vici::IkeSa& ike = status->sas.emplace_back();
    ike.name = "cvlan-" + kOther;
    ike.state = "CONNECTING";
    EXPECT_FALSE(TunnelsSeen(status).is_called(kOther)) << "it calls us";
    ike.initiator = true;
    EXPECT_TRUE(TunnelsSeen(status).is_called(kOther));
    EXPECT_FALSE(TunnelsSeen(status).is_called(kNode));
    status->sas.push_back(ike);
    status->sas.back().state = "ESTABLISHED";
    EXPECT_FALSE(TunnelsSeen(status).is_called(kOther));
}

TEST_F(TunnelsTest, ANetworkOverWireguardHasNone) {
    map.networks[kNetwork] = network(kNetwork, model::wire::DataPlane::Wireguard);
    const auto want = wanted();
    EXPECT_TRUE(want.tunnels.empty() && want.identities.empty());
}

TEST_F(TunnelsTest, ANetworksProfileIsThatOfItsTunnels) {
    EXPECT_FALSE(wanted().tunnels.begin()->second.approved_only);
    map.networks[kNetwork].crypto_profile = model::wire::CryptoProfile::FipsAlgorithms;
    EXPECT_TRUE(wanted().tunnels.begin()->second.approved_only);
}

TEST_F(TunnelsTest, WhereOneOfTwoAsksForItTheyHaveATunnel) {
    map.networks[kNetwork] = network(kNetwork, model::wire::DataPlane::Auto);
    EXPECT_TRUE(wanted().tunnels.empty());
    map.networks[kNetwork].peers.at(kOther).asks_for_ipsec = true;
    map.networks[kNetwork].crypto_profile = model::wire::CryptoProfile::FipsAlgorithms;
    ASSERT_EQ(wanted().tunnels.size(), 1u);
    EXPECT_TRUE(wanted().tunnels.begin()->second.approved_only);
}

// Beside the WireGuard that still carries it.
TEST_F(TunnelsTest, APeerThatIsAwaitedIsCalledAtOnce) {
    Moves::Network places_now;
    places_now.peers[kOther] = {.route = Carrier::Wireguard, .on_ipsec = true, .is_awaited = true};
    places = [&](const std::string&) { return &places_now; };
    const auto connection = "cvlan-" + kOther;
    EXPECT_EQ(wanted().bring_up, (std::set{std::pair(connection, kNetwork)}));
    places_now.peers[kOther] = {.route = Carrier::Ipsec, .on_ipsec = true};
    EXPECT_TRUE(wanted().bring_up.empty());
    EXPECT_EQ(wanted().tunnels.size(), 1u);
    places_now.peers[kOther] = {.on_wireguard = true};
    EXPECT_TRUE(wanted().tunnels.empty());
}

TEST_F(TunnelsTest, ANetworkWithoutAnIndexIsLeftOut) {
    agent.slots.clear();
    EXPECT_TRUE(wanted().tunnels.empty());
}

TEST_F(TunnelsTest, ShowsTheNewestSaThatIsInstalled) {
    auto status = std::make_shared<ike::Status>();
    vici::IkeSa& ike = status->sas.emplace_back();
    ike.name = "cvlan-" + kOther;
    ike.state = "ESTABLISHED";
    ike.dh_group = "ECP_384";
    EXPECT_EQ(TunnelsSeen(status).of(kOther, kNetwork).child, nullptr);
    EXPECT_EQ(TunnelsSeen(status).of(kOther, kNetwork).ike, &ike);
    for (const auto& [id, state] : std::vector<std::pair<uint32_t, const char*>>{
             {1, "INSTALLED"}, {2, "INSTALLED"}, {3, "INSTALLING"}}) {
        vici::ChildSa& child = ike.child_sas.emplace_back();
        child.name = kNetwork;
        child.unique_id = id;
        child.state = state;
        child.encr_alg = "AES_GCM_16";
        child.encr_keysize = 256;
    }
    const TunnelSeen seen = TunnelsSeen(status).of(kOther, kNetwork);
    ASSERT_NE(seen.child, nullptr);
    EXPECT_EQ(seen.child->unique_id, 2u);
    EXPECT_EQ(cipher_text(seen), "AES_GCM_16-256, ECP_384");
    EXPECT_EQ(TunnelsSeen(status).of(kNode, kNetwork).ike, nullptr);
    EXPECT_EQ(TunnelsSeen(nullptr).of(kOther, kNetwork).ike, nullptr);
    EXPECT_FALSE(TunnelsSeen(status).is_single(kOther, kNetwork));
}

// As while the peer has given one up and this end asks it to let that go.
TEST_F(TunnelsTest, ATunnelThatEndsIsASecondOneToo) {
    const auto status = std::make_shared<ike::Status>();
    EXPECT_FALSE(TunnelsSeen(status).is_single(kOther, kNetwork));
    for (const char* state : {"ESTABLISHED", "DELETING"}) {
        vici::IkeSa& ike = status->sas.emplace_back();
        ike.name = "cvlan-" + kOther;
        ike.state = state;
        ike.child_sas.emplace_back().name = kNetwork;
        EXPECT_EQ(TunnelsSeen(status).is_single(kOther, kNetwork), status->sas.size() == 1);
        EXPECT_FALSE(TunnelsSeen(status).is_single(kOther, kSecond));
    }
}

}  // namespace
}  // namespace cvlan::agent
