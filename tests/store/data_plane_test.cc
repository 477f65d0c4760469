// SPDX-License-Identifier: Apache-2.0
// What carries a network's packets: its data plane, the tags that ask for IPsec, its algorithms.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using model::CryptoProfile;
using model::DataPlane;
using Names = std::vector<std::string>;

struct DataPlaneTest : StoreTest {
    std::string acme = tenant("acme");
    model::Network office = network(acme, "office", "10.0.0.0/24");

    model::Object tag(const std::string& name) { return new_tag(acme, name); }
    Result<model::Network> change(const NetworkChange& wanted) {
        return store_->change_network({acme, office.id}, wanted);
    }
    model::Node node(const std::string& name) {
        return enrolled(enrolment(token(office), name)).node;
    }
    void give(const model::Node& node, const Names& tags) {
        auto done = store_->update_node(key_of(node), {.tags = tags});
        ASSERT_TRUE(done) << done.error().message;
    }
    model::Membership place(const model::Node& node) {
        return store_->node(acme, node.id)->memberships.at(0);
    }
    // Names of those whose memberships the last change of the tenant changed.
    Names changed_last() {
        Names names;
        const auto members =
            store_->members_changed({acme, office.id}, store_->tenant(acme)->revision);
        for (const MapMember& member : *members) names.push_back(member.node_name);
        return names;
    }
};

TEST_F(DataPlaneTest, ANetworkKeepsItsTagsAndItsProfile) {
    tag("secret");
    tag("bank");
    NewNetwork wanted{acme, "lan", *Prefix::parse("10.1.0.0/24"), {}};
    wanted.data_plane = DataPlane::Auto;
    wanted.ipsec_tags = {"secret", "bank", "secret"};
    const auto made = store_->create_network(wanted);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->data_plane, DataPlane::Auto);
    EXPECT_EQ(made->ipsec_tags, (Names{"bank", "secret"}));
    EXPECT_EQ(store_->networks({.tenant = acme, .name = "lan"})->items.at(0).ipsec_tags,
              made->ipsec_tags);
    const auto changed = change({.data_plane = DataPlane::Ipsec,
                                 .crypto_profile = CryptoProfile::FipsAlgorithms,
                                 .ipsec_tags = Names{"bank"}});
    ASSERT_TRUE(changed) << changed.error().message;
    EXPECT_EQ(changed->crypto_profile, CryptoProfile::FipsAlgorithms);
    EXPECT_EQ(changed->ipsec_tags, Names{"bank"});
    EXPECT_EQ(events_.back().kind, EventKind::NetworkChanged);
    const auto revision = store_->tenant(acme)->revision;
    EXPECT_TRUE(change({.ipsec_tags = Names{"bank", "bank"}})) << "the same again";
    EXPECT_EQ(store_->tenant(acme)->revision, revision);
    EXPECT_TRUE(change({.ipsec_tags = Names{}})->ipsec_tags.empty());
}

TEST_F(DataPlaneTest, WhatIsRefusedIsNamed) {
    auto refused = change({.ipsec_tags = Names{"nope"}});
    EXPECT_FAILS(refused, Code::Invalid, "ipsecTags: there is no tag 'nope'");
    EXPECT_EQ(refused.error().pointer, "/ipsecTags");
    refused = change({.crypto_profile = CryptoProfile::FipsAlgorithms});
    EXPECT_FAILS(refused, Code::Invalid, "ChaCha20-Poly1305");
    EXPECT_EQ(refused.error().pointer, "/cryptoProfile");
    ASSERT_TRUE(
        change({.data_plane = DataPlane::Ipsec, .crypto_profile = CryptoProfile::FipsAlgorithms}));
    for (const DataPlane plane : {DataPlane::Wireguard, DataPlane::Auto}) {
        refused = change({.data_plane = plane});
        EXPECT_FAILS(refused, Code::Invalid, "needs the data plane IPSEC");
        EXPECT_EQ(refused.error().pointer, "/dataPlane");
    }
    NewNetwork wanted{acme, "lan", *Prefix::parse("10.1.0.0/24"), {}};
    wanted.crypto_profile = CryptoProfile::FipsAlgorithms;
    EXPECT_EQ(store_->create_network(wanted).error().pointer, "/cryptoProfile");
}

// A map is told of exactly these.
TEST_F(DataPlaneTest, AChangeOfTagsIsAChangeOfThoseMembershipsThatItConcerns) {
    for (const char* name : {"secret", "bank", "web"}) tag(name);
    const model::Node a = node("a"), b = node("b"), c = node("c");
    give(a, {"secret"});
    give(b, {"web"});
    EXPECT_TRUE(changed_last().empty()) << "the network names no tags";
    ASSERT_TRUE(change({.data_plane = DataPlane::Auto}));
    EXPECT_TRUE(changed_last().empty());
    ASSERT_TRUE(change({.ipsec_tags = Names{"secret"}}));
    EXPECT_EQ(changed_last(), Names{"a"});
    EXPECT_TRUE(place(a).ipsec);
    EXPECT_FALSE(place(b).ipsec);

    give(b, {"web", "bank"});
    EXPECT_TRUE(changed_last().empty()) << "a tag that says nothing here";
    give(c, {"secret"});
    EXPECT_EQ(changed_last(), Names{"c"});
    EXPECT_EQ(events_.back().kind, EventKind::NodeChanged);
    EXPECT_EQ(place(c).revision, store_->tenant(acme)->revision);
    ASSERT_TRUE(change({.ipsec_tags = Names{"bank", "secret"}}));
    EXPECT_EQ(changed_last(), Names{"b"});
    ASSERT_TRUE(change({.ipsec_tags = Names{"bank"}}));
    EXPECT_EQ(changed_last().size(), 2u);
    EXPECT_FALSE(place(a).ipsec);
    ASSERT_TRUE(store_->update_node(key_of(b), {.name = "d", .tags = Names{}}));
    EXPECT_FALSE(place(b).ipsec) << "with another name at once";
}

TEST_F(DataPlaneTest, ANodeThatComesInWithATagAsksForIpsecAtOnce) {
    tag("secret");
    ASSERT_TRUE(change({.data_plane = DataPlane::Auto, .ipsec_tags = Names{"secret"}}));
    model::TokenClaims claims = token(office, 2);
    claims.id = id();
    claims.tags = {"secret"};
    ASSERT_TRUE(store_->create_token(claims, {}));
    const model::Node node = enrolled(enrolment(claims, "a")).node;
    EXPECT_TRUE(place(node).ipsec);
    EXPECT_TRUE(store_->map_inputs(acme)->members.at(0).membership.ipsec);

    const model::Network lab = network(acme, "lab", "10.9.0.0/24");
    ASSERT_TRUE(store_->change_network({acme, lab.id}, {.ipsec_tags = Names{"secret"}}));
    const auto joined = store_->join(node.id, {token(lab), base64(random_bytes(32)), 51821, {}});
    ASSERT_TRUE(joined) << joined.error().message;
    const auto places = store_->node(acme, node.id)->memberships;
    EXPECT_TRUE(places.at(0).ipsec && places.at(1).ipsec);

    auto external =
        store_->create_external({acme, "phone", office.id, base64(random_bytes(32)), {"secret"}});
    ASSERT_TRUE(external) << external.error().message;
    EXPECT_TRUE(external->memberships.at(0).ipsec);
}

TEST_F(DataPlaneTest, ATagThatANetworkNamesIsNotDeletedAndMayBeRenamed) {
    model::Object secret = tag("secret");
    ASSERT_TRUE(change({.ipsec_tags = Names{"secret"}}));
    EXPECT_FAILS(store_->objects().remove(secret.kind, {acme, secret.id}), Code::Conflict,
                 "among the ipsecTags of network 'office'");
    secret.name = "top-secret";
    ASSERT_TRUE(store_->objects().update(secret));
    EXPECT_EQ(store_->network(acme, office.id)->ipsec_tags, Names{"top-secret"});
    ASSERT_TRUE(store_->delete_network({acme, office.id}));
    EXPECT_TRUE(store_->objects().remove(secret.kind, {acme, secret.id}));
}

}  // namespace
}  // namespace cvlan::store
