// SPDX-License-Identifier: Apache-2.0
#include "model/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/ike_proposal.h"
#include "model/network_map.h"

namespace cvlan::model {
namespace {

using testing::HasSubstr;
using Texts = std::vector<std::string>;
using Kind = IkeIdentityKind;

constexpr const char* kNet = "00000000-0000-7000-8000-00000000000a";
constexpr const char* kSite = "00000000-0000-7000-8000-0000000000c1";

MapConnection site() {
    MapConnection made;
    made.id = kSite;
    made.name = "berlin";
    made.remote_addresses = {*Address::parse("192.0.2.7")};
    made.remote_identity = "fw.example.com";
    made.local_identity = local_ike_identity(kSite, "acme.example");
    made.remote_subnets = {*Prefix::parse("192.168.7.0/24")};
    made.secret_revision = 1;
    return made;
}

void expect_refused(const MapConnection& connection, const char* pointer, const char* why) {
    const auto checked = check_connection(connection);
    ASSERT_FALSE(checked) << pointer;
    EXPECT_EQ(checked.error().code, Code::Invalid);
    EXPECT_EQ(checked.error().pointer, pointer);
    EXPECT_THAT(checked.error().message, HasSubstr(why));
}

TEST(IkeIdentity, StandsForOneDevice) {
    const std::pair<const char*, Kind> good[] = {
        {"192.0.2.1", Kind::Address},
        {"2001:db8::1", Kind::Address},
        {"fw.example.com", Kind::HostName},
        {"branch_7", Kind::HostName},
        {"fw@example.com", Kind::Mail},
        {"C=DE, O=Example Works, CN=fw 7", Kind::DistinguishedName},
        {"CN=fw.example.com", Kind::DistinguishedName},
    };
    for (const auto& [text, kind] : good) {
        const auto known = ike_identity_kind(text);
        ASSERT_TRUE(known) << text;
        EXPECT_EQ(*known, kind) << text;
    }
}

TEST(IkeIdentity, OneThatStandsForMoreIsRefused) {
    for (const char* text : {"",
                             "%any",
                             "%any6",
                             "*",
                             "0.0.0.0",
                             "::",
                             "*.example.com",
                             "*@example.com",
                             "CN=*",
                             "O=Example, CN=*",
                             "/C=DE/CN=fw",
                             "@fw",
                             "@#6677",
                             "keyid:fw",
                             "fqdn:fw",
                             "dns:fw",
                             "asn1dn:#30",
                             "10.0.0.300",
                             "10.0.0.0/8",
                             "10.0.0.1-10.0.0.9",
                             "fw.example.com ",
                             "a..b",
                             "CN=",
                             "CN=fw,",
                             "XX=fw",
                             "CN=fw/OU=x",
                             "CN=f\xc3\xbcr",
                             "fw\n",
                             "a@b@c"})
        EXPECT_FALSE(ike_identity_kind(text)) << text;
    EXPECT_FALSE(ike_identity_kind("CN=" + std::string(300, 'a')));
    EXPECT_FALSE(ike_identity_kind(std::string("fw\0x", 4)));
}

TEST(Proposals, AreOfKnownGoodAlgorithmsThatFitEachOther) {
    for (const char* text : {"aes256gcm16-prfsha384-ecp384-x25519", "aes256-sha256-modp2048",
                             "aes128-aes256-sha256-sha384-prfsha256-ecp256"})
        EXPECT_TRUE(check_proposal(ProposalFor::Ike, text)) << text;
    for (const char* text :
         {"aes256gcm16", "aes128gcm16-ecp256", "aes256-sha256", "aes128-sha384-modp2048"})
        EXPECT_TRUE(check_proposal(ProposalFor::Esp, text)) << text;
    for (const char* text :
         {"", "-", "aes256gcm16-prfsha384-ecp384-", "--", "default", "aes256-sha1-modp2048",
          "3des-sha256-modp2048", "aes256-sha256-modp1024", "null-sha256-ecp256", "aes256-ecp256",
          "aes256gcm16-ecp384", "aes256gcm16-sha256-prfsha256-ecp384", "sha256-ecp256",
          "aes256gcm16-aes256-sha256-prfsha256-ecp256", "aes256-sha256", "AES256-sha256-ecp256",
          "aes256-aes256-sha256-ecp256", "aes256-sha256-ecp256,aes128"})
        EXPECT_FALSE(check_proposal(ProposalFor::Ike, text)) << text;
    EXPECT_FALSE(check_proposal(ProposalFor::Esp, "aes256gcm16-prfsha384-ecp384"));
    for (const auto use : {ProposalFor::Ike, ProposalFor::Esp}) {
        EXPECT_TRUE(check_proposal(use, default_proposal(use, false)));
        EXPECT_TRUE(check_proposal(use, default_proposal(use, true)));
        EXPECT_EQ(unapproved_word(default_proposal(use, true)), "");
    }
}

TEST(CheckConnection, TakesWhatADeviceNeeds) {
    EXPECT_TRUE(check_connection(site()));
    auto other = site();
    other.auth = wire::IpsecAuth::Certificate;
    other.secret_revision = 0;
    other.remote_ca = "PEM";
    other.remote_addresses.clear();
    other.start = wire::IpsecStart::None;
    other.ike_proposals = {"aes256-sha256-modp2048"};
    EXPECT_TRUE(check_connection(other));
}

TEST(CheckConnection, NamesTheFieldThatCanNotBe) {
    auto bad = site();
    bad.name = "Berlin!";
    expect_refused(bad, "/name", "is no name");
    bad = site();
    bad.remote_identity = "%any";
    expect_refused(bad, "/remoteIdentity", "without wildcards");
    bad = site();
    bad.remote_addresses.clear();
    expect_refused(bad, "/start", "must be NONE");
    bad = site();
    bad.remote_addresses = {*Address::parse("192.0.2.1"), *Address::parse("224.0.0.1")};
    expect_refused(bad, "/remoteAddresses/1", "no address of a device");
    bad = site();
    bad.secret_revision = 0;
    expect_refused(bad, "/secret", "is needed for PSK");
    bad = site();
    bad.remote_ca = "PEM";
    expect_refused(bad, "/remoteCa", "not of PSK");
    bad = site();
    bad.auth = wire::IpsecAuth::Certificate;
    expect_refused(bad, "/secret", "not of CERTIFICATE");
    bad.secret_revision = 0;
    expect_refused(bad, "/remoteCa", "is needed");
    bad = site();
    bad.remote_subnets.clear();
    expect_refused(bad, "/remoteSubnets", "one at least");
    bad.remote_subnets = {*Prefix::parse("0.0.0.0/0")};
    expect_refused(bad, "/remoteSubnets/0", "default route");
    bad.remote_subnets = {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("10.1.0.0/16")};
    expect_refused(bad, "/remoteSubnets/1", "overlaps 10.0.0.0/8");
    bad = site();
    bad.esp_proposals = {"aes256gcm16", "des"};
    expect_refused(bad, "/espProposals/1", "'des' is no algorithm to choose");
    bad = site();
    bad.dpd = std::chrono::seconds(4);
    expect_refused(bad, "/dpdSeconds", "from 5 to 3600");
}

TEST(CheckApproved, NamesWhatIsNot) {
    auto connection = site();
    EXPECT_TRUE(check_approved(connection)) << "the default is the network's";
    connection.ike_proposals = {"aes256gcm16-prfsha384-ecp384-ecp256"};
    EXPECT_TRUE(check_approved(connection));
    connection.ike_proposals = {"aes256gcm16-prfsha384-ecp384-x25519"};
    const auto refused = check_approved(connection);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().pointer, "/ikeProposals/0");
    EXPECT_THAT(refused.error().message, HasSubstr("have no x25519"));
}

wire::MapFragment fragment_of(wire::FragmentKind kind, const std::string& id) {
    wire::MapFragment fragment;
    fragment.scope = kNet;
    fragment.kind = kind;
    fragment.id = id;
    fragment.revision = 1;
    return fragment;
}

wire::MapFragment told(const std::string& id, const char* name, Texts remote) {
    auto fragment = fragment_of(wire::FragmentKind::Connection, id);
    auto& shown = fragment.connection.emplace();
    shown.name = name;
    shown.remote_addresses = {"192.0.2.7"};
    shown.remote_identity = "fw.example.com";
    shown.local_identity = local_ike_identity(id, "acme.example");
    shown.remote_subnets = std::move(remote);
    shown.dpd_seconds = 30;
    shown.rekey_seconds = 3600;
    shown.secret_revision = 4;
    return fragment;
}

struct Self {
    bool is_gateway = true;
    Texts routes{};
};

NetworkMap map_of(const Self& self, std::vector<wire::MapFragment> connections) {
    std::vector<wire::MapFragment> fragments = std::move(connections);
    auto& network = fragments.emplace_back(fragment_of(wire::FragmentKind::Network, kNet));
    network.network.emplace();
    network.network->name = "lan";
    network.network->mtu = 1420;
    network.network->ipv4 = "10.1.0.0/24";
    auto& own = fragments.emplace_back(fragment_of(wire::FragmentKind::Peer, "gw"));
    own.peer.emplace();
    own.peer->name = "gw";
    own.peer->addresses = {"10.1.0.1"};
    own.peer->gateway = self.is_gateway;
    own.peer->routes = self.routes;
    wire::MapHead head;
    head.node_id = "gw";
    head.network_ids = {kNet};
    return build_map(head, fragments, 1);
}

TEST(MapConnections, AreThoseOfTheGatewayWithWhatTheirSiteReaches) {
    const Self gateway{true, {"172.16.0.0/16", "192.168.7.0/24", "192.168.8.0/24"}};
    auto narrow = told("c2", "second", {"192.168.8.0/24"});
    narrow.connection->local_subnets = {"10.1.0.0/28"};
    const auto map = map_of(gateway, {told(kSite, "berlin", {"192.168.7.0/24"}), narrow});
    EXPECT_THAT(map.refused, testing::IsEmpty());
    const auto& connections = map.networks.at(kNet).connections;
    ASSERT_EQ(connections.size(), 2u);
    const MapConnection& berlin = connections.at(kSite);
    EXPECT_EQ(berlin.name, "berlin");
    EXPECT_EQ(berlin.secret_revision, 4);
    EXPECT_EQ(texts_of(berlin.remote_subnets), Texts{"192.168.7.0/24"});
    EXPECT_EQ(texts_of(berlin.local_subnets), (Texts{"10.1.0.0/24", "172.16.0.0/16"}))
        << "the network and what lies behind the vrouter, not the other site";
    EXPECT_EQ(texts_of(connections.at("c2").local_subnets), Texts{"10.1.0.0/28"});
}

TEST(MapConnections, OfWhoIsNoGatewayAreNone) {
    const auto map = map_of({false, {}}, {told(kSite, "berlin", {"192.168.7.0/24"})});
    EXPECT_TRUE(map.networks.at(kNet).connections.empty());
}

TEST(MapConnections, ABadOneIsLeftOutWithAReasonAndSpoilsNoOther) {
    auto bad = told("c0", "bad", {"192.168.9.0/24"});
    bad.connection->remote_identity = "%any";
    auto empty = told("c4", "empty", {});
    empty.connection.reset();
    auto gone = fragment_of(wire::FragmentKind::Connection, "c5");
    gone.removed = true;
    const auto map = map_of(
        {}, {bad, told("c1", "good", {"192.168.7.0/24"}), told("c2", "late", {"192.168.7.128/25"}),
             told("c3", "inside", {"10.0.0.0/8"}), empty, gone});
    EXPECT_THAT(map.refused,
                testing::ElementsAre(HasSubstr("connection c0: remoteIdentity"),
                                     HasSubstr("overlaps connection good"),
                                     HasSubstr("overlaps network lan"), HasSubstr("c4")));
    ASSERT_EQ(map.networks.at(kNet).connections.size(), 1u);
    EXPECT_TRUE(map.networks.at(kNet).connections.contains("c1"));
}

}  // namespace
}  // namespace cvlan::model
