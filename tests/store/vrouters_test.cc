// SPDX-License-Identifier: Apache-2.0
// Vrouters: which node is the gateway of which network, and what lies behind it.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using model::Object;
using model::ObjectKind;
using model::Relation;
using model::TokenRole;
using model::Topology;
using Texts = std::vector<std::string>;

class VroutersTest : public StoreTest {
protected:
    std::string acme_ = tenant("acme");
    model::Network office_ = network(acme_, "office", "10.100.0.0/24");
    model::Network lab_ = network(acme_, "lab", "10.101.0.0/24");

    model::TokenClaims vrouter_token(const model::Network& network) {
        model::TokenClaims claims;
        claims.id = id();
        claims.tenant_id = network.tenant_id;
        claims.network_id = network.id;
        claims.role = TokenRole::Vrouter;
        claims.expires_at = clock_.now() + std::chrono::hours(24);
        claims.nonce = random_bytes(32);
        auto made = store_->create_token(claims, {});
        EXPECT_TRUE(made) << made.error().message;
        return claims;
    }
    model::Node machine(const model::Network& network) {
        return enrolled(enrolment(vrouter_token(network), "gw")).node;
    }
    Object wanted(const model::Node& on, const Texts& networks, const Texts& routes = {}) {
        Object vrouter{acme_, {}, ObjectKind::Vrouter, "gw", ""};
        vrouter.links[Relation::Node] = {on.id};
        vrouter.links[Relation::Network] = networks;
        vrouter.routes = routes;
        return vrouter;
    }
    Object make(const Object& vrouter) {
        auto made = store_->objects().create(vrouter);
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
    model::Membership place(const model::Node& of, const model::Network& in) {
        const auto node = store_->node(acme_, of.id);
        for (const auto& membership : node->memberships)
            if (membership.network_id == in.id) return membership;
        ADD_FAILURE() << "it is not in " << in.name;
        return {};
    }
};

TEST_F(VroutersTest, ANodeIsTheGatewayOfTheNetworksThatItsVrouterHas) {
    const auto node = machine(office_);
    const auto before = place(node, office_);
    EXPECT_FALSE(before.gateway);
    Object vrouter = make(wanted(node, {office_.id}, {"192.168.7.0/24", "fd07::/64"}));
    EXPECT_EQ(store_->objects().get(ObjectKind::Vrouter, acme_, vrouter.id)->routes,
              (Texts{"192.168.7.0/24", "fd07::/64"}));
    const auto after = place(node, office_);
    EXPECT_TRUE(after.gateway);
    EXPECT_EQ(after.routes, (Texts{"192.168.7.0/24", "fd07::/64"}));
    EXPECT_GT(after.revision, before.revision);
    EXPECT_EQ(events_.back().kind, EventKind::NodeChanged) << "maps hear of it by its node";
    EXPECT_EQ(events_.back().object_id, node.id);
    EXPECT_TRUE(store_->map_inputs(acme_)->members.at(0).membership.gateway);

    vrouter.routes = {"192.168.8.0/24"};
    ASSERT_TRUE(store_->objects().update(vrouter));
    EXPECT_EQ(place(node, office_).routes, Texts{"192.168.8.0/24"});
    ASSERT_TRUE(store_->objects().remove(ObjectKind::Vrouter, {acme_, vrouter.id}));
    EXPECT_FALSE(place(node, office_).gateway);
    EXPECT_TRUE(place(node, office_).routes.empty());
}

TEST_F(VroutersTest, OneThatMovesLeavesItsOldNode) {
    const auto first = machine(office_), second = machine(office_);
    Object vrouter = make(wanted(first, {office_.id}));
    vrouter.links[Relation::Node] = {second.id};
    ASSERT_TRUE(store_->objects().update(vrouter));
    EXPECT_FALSE(place(first, office_).gateway);
    EXPECT_TRUE(place(second, office_).gateway);
}

TEST_F(VroutersTest, ANetworkThatItsNodeJoinsLaterIsItsFromThenOn) {
    const auto node = machine(office_);
    make(wanted(node, {office_.id, lab_.id}, {"192.168.7.0/24"}));
    ASSERT_TRUE(store_->join(node.id, enrolment(vrouter_token(lab_)).joining));
    EXPECT_TRUE(place(node, lab_).gateway);
    EXPECT_EQ(place(node, lab_).routes, Texts{"192.168.7.0/24"});
}

TEST_F(VroutersTest, ItRunsOnANodeThatEnrolledAsOneAndOnNoOther) {
    const auto plain = enrolled(enrolment(token(office_))).node;
    EXPECT_FAILS(store_->objects().create(wanted(plain, {office_.id})), Code::Invalid,
                 "role VROUTER");
    // It comes back as a plain node: what the vrouter says of it holds no more.
    auto request = enrolment(vrouter_token(office_), "gw");
    const auto node = enrolled(request).node;
    make(wanted(node, {office_.id}));
    ASSERT_TRUE(store_->touch_seen(key_of(node)));
    request.joining.token = token(office_);
    EXPECT_EQ(enrolled(request).node.id, node.id);
    EXPECT_FALSE(place(node, office_).gateway);
}

TEST_F(VroutersTest, ANetworkHasOneAndSoHasANode) {
    const auto first = machine(office_), second = machine(office_);
    const Object vrouter = make(wanted(first, {office_.id}));
    Object other = wanted(second, {office_.id});
    other.name = "other";
    EXPECT_FAILS(store_->objects().create(other), Code::Conflict, "has the vrouter 'gw' already");
    other = wanted(first, {lab_.id});
    other.name = "other";
    EXPECT_FAILS(store_->objects().create(other), Code::Conflict, "nodeId");
    EXPECT_TRUE(store_->objects().update(vrouter)) << "it is none to itself";
}

TEST_F(VroutersTest, ARouteIsAPrefixOfNoNetworkAndNotEverything) {
    const auto node = machine(office_);
    const auto refused = [&](const Texts& routes, Code code, const char* why) {
        EXPECT_FAILS(store_->objects().create(wanted(node, {office_.id}, routes)), code, why);
    };
    refused({"192.168.7.1/24"}, Code::Invalid, "must be");
    refused({"192.168.7.0"}, Code::Invalid, "must be");
    refused({"here"}, Code::Invalid, "must be a prefix");
    refused({"0.0.0.0/0"}, Code::Invalid, "default route");
    refused({"192.168.7.0/24", "192.168.7.0/24"}, Code::Invalid, "twice");
    refused({"10.101.0.128/25"}, Code::Conflict, "overlaps 10.101.0.0/24 of network 'lab'");
    refused({"10.0.0.0/8"}, Code::Conflict, "overlaps");
    make(wanted(node, {office_.id}, {"192.168.0.0/16"}));
    EXPECT_FAILS(try_network(acme_, "late", "192.168.7.0/24"), Code::Conflict,
                 "overlaps the route 192.168.0.0/16 of vrouter 'gw'");
    EXPECT_TRUE(try_network(tenant("other"), "late", "192.168.7.0/24")) << "another tenant's";
}

TEST_F(VroutersTest, AHubIsOfWireGuard) {
    EXPECT_EQ(office_.topology, Topology::Mesh);
    const Key key{acme_, office_.id};
    const auto hub = store_->change_network(key, {.topology = Topology::Hub});
    ASSERT_TRUE(hub) << hub.error().message;
    EXPECT_EQ(store_->network(acme_, office_.id)->topology, Topology::Hub);
    EXPECT_EQ(events_.back().kind, EventKind::NetworkChanged);
    EXPECT_FAILS(store_->change_network(key, {.data_plane = model::DataPlane::Ipsec}),
                 Code::Invalid, "dataPlane: HUB needs");
    NewNetwork made{acme_, "new", *Prefix::parse("10.9.0.0/24"), {}, false, 1420};
    made.data_plane = model::DataPlane::Auto;
    made.topology = Topology::Hub;
    EXPECT_FAILS(store_->create_network(made), Code::Invalid, "topology: HUB needs");
    made.data_plane = model::DataPlane::Wireguard;
    EXPECT_EQ(store_->create_network(made)->topology, Topology::Hub);
}

}  // namespace
}  // namespace cvlan::store
