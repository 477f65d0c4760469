// SPDX-License-Identifier: Apache-2.0
// Relays: how one comes in, what maps are told of it, and what nodes report of their paths.
#include "model/relay_map.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

namespace wire = model::wire;
using model::NodeState;
using model::ObjectKind;
using model::Relation;
using model::TokenRole;

class RelaysTest : public StoreTest {
protected:
    std::string acme_ = tenant("acme");
    model::Network office_ = network(acme_, "office", "10.100.0.0/24");

    model::TokenClaims relay_token(const std::string& tenant_id, int64_t uses = 1) {
        model::TokenClaims claims;
        claims.id = id();
        claims.tenant_id = tenant_id;
        claims.role = TokenRole::Relay;
        claims.expires_at = clock_.now() + std::chrono::hours(24);
        claims.uses = uses;
        claims.nonce = random_bytes(32);
        auto made = store_->create_token(claims, {});
        EXPECT_TRUE(made) << made.error().message;
        return claims;
    }
    static Enrolment as_relay(const model::TokenClaims& token) {
        Enrolment request = enrolment(token, "relay");
        request.joining = {token, "", 0, {}};
        return request;
    }
    model::Node machine(const std::string& tenant_id) {
        return enrolled(as_relay(relay_token(tenant_id))).node;
    }
    static model::Object wanted(const std::string& tenant_id, const std::string& node_id) {
        model::Object relay{tenant_id, {}, ObjectKind::Relay, "one", ""};
        relay.endpoints = {"192.0.2.1:443"};
        relay.links[Relation::Node] = {node_id};
        return relay;
    }
    model::Object relay(const std::string& tenant_id) {
        auto made = store_->objects().create(wanted(tenant_id, machine(tenant_id).id));
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
    std::vector<std::string> barred() {
        std::vector<std::string> ids;
        const auto inputs = store_->map_inputs(acme_);
        for (const MapBarred& one : inputs->barred) ids.push_back(one.node_id);
        return ids;
    }
    Result<std::optional<Revision>> report(const model::Node& node, const std::string& relay_id) {
        return store_->set_endpoints(key_of(node), {office_.id, 51820, {}, relay_id});
    }
};

using Ids = std::vector<std::string>;

TEST_F(RelaysTest, ARelayComesInWithoutANetworkAndWithoutAKey) {
    const auto claims = relay_token(acme_);
    EXPECT_EQ(store_->token(acme_, claims.id)->network_id, "");
    const auto request = as_relay(claims);
    const Enrolled first = enrolled(request);
    EXPECT_EQ(first.node.role, TokenRole::Relay);
    EXPECT_TRUE(first.node.memberships.empty());
    EXPECT_TRUE(events_.back().network_ids.empty());
    EXPECT_EQ(store_->network(acme_, office_.id)->node_count, 0);

    const Enrolled again = enrolled(request);
    EXPECT_EQ(again.node.id, first.node.id) << "the answer was lost: nothing is spent";
    ASSERT_TRUE(store_->touch_seen(key_of(first.node)));
    EXPECT_FAILS(enrol(request), Code::Gone, "spent");
    EXPECT_FAILS(enrol(as_relay(claims)), Code::Gone, "spent");
}

TEST_F(RelaysTest, ANodeOfANetworkNeverBecomesARelayNorARelayANode) {
    auto request = enrolment(token(office_));
    enrolled(request);
    auto as_other = as_relay(relay_token(acme_));
    as_other.tls_key_hash = request.tls_key_hash;
    EXPECT_FAILS(enrol(as_other), Code::Conflict, "another role");

    const auto relay = as_relay(relay_token(acme_));
    const Enrolled in = enrolled(relay);
    auto as_node = enrolment(token(office_));
    as_node.tls_key_hash = relay.tls_key_hash;
    EXPECT_FAILS(enrol(as_node), Code::Conflict, "another role");
    EXPECT_FAILS(store_->join(in.node.id, as_node.joining), Code::Conflict, "in no network");
    EXPECT_TRUE(store_->node(acme_, in.node.id)->memberships.empty());
}

TEST_F(RelaysTest, ATokenOfAnyOtherRoleNeedsItsNetwork) {
    for (const TokenRole role : {TokenRole::Node, TokenRole::Vrouter}) {
        auto claims = relay_token(acme_);
        claims.id = id();
        claims.role = role;
        EXPECT_FAILS(store_->create_token(claims, {}), Code::NotFound, "network");
    }
}

TEST_F(RelaysTest, ATenantGoesWithItsRelaysTokens) {
    const std::string other = tenant("other");
    const auto claims = relay_token(other);
    ASSERT_TRUE(store_->delete_tenant(other));
    EXPECT_FAILS(store_->token({}, claims.id), Code::NotFound, "token");
}

TEST_F(RelaysTest, ARelayRunsOnANodeThatEnrolledAsOne) {
    const auto node = enrolled(enrolment(token(office_))).node;
    EXPECT_FAILS(store_->objects().create(wanted(acme_, node.id)), Code::Invalid, "role RELAY");
    const std::string other = tenant("other");
    EXPECT_FAILS(store_->objects().create(wanted(acme_, machine(other).id)), Code::Invalid,
                 "role RELAY");
    const auto host = machine(acme_);
    auto asked = wanted(acme_, host.id);
    asked.stun_port = 443;
    const auto made = store_->objects().create(asked);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(store_->objects().get(ObjectKind::Relay, acme_, made->id)->stun_port, 443);
    EXPECT_FALSE(store_->objects().get(ObjectKind::Relay, acme_, made->id)->last_seen_at);
    ASSERT_TRUE(store_->touch_seen(key_of(host)));
    EXPECT_EQ(store_->objects().get(ObjectKind::Relay, acme_, made->id)->last_seen_at,
              clock_.now());
    EXPECT_EQ(store_->objects().list(ObjectKind::Relay, {.tenant = acme_})->items[0].last_seen_at,
              clock_.now());
    asked = *made;
    asked.stun_port = 3479;
    EXPECT_EQ(store_->objects().update(asked)->stun_port, 3479);
}

TEST_F(RelaysTest, MapsAreToldOfRelaysWithTheirRegions) {
    const auto region = *store_->objects().create({acme_, {}, ObjectKind::Region, "north", ""});
    auto made = relay(acme_);
    EXPECT_EQ(store_->map_inputs(acme_)->relays.at(0).revision, made.revision);
    made.links[Relation::Region] = {region.id};
    made = *store_->objects().update(made);
    auto renamed = region;
    renamed.name = "south";
    renamed = *store_->objects().update(renamed);

    const auto inputs = *store_->map_inputs(acme_);
    ASSERT_EQ(inputs.relays.size(), 1u);
    EXPECT_EQ(inputs.relays[0].object.name, "one");
    EXPECT_EQ(inputs.relays[0].object.endpoints, Ids{"192.0.2.1:443"});
    EXPECT_EQ(inputs.relays[0].region_name, "south");
    EXPECT_EQ(inputs.relays[0].revision, renamed.revision);
    ASSERT_EQ(inputs.relay_nodes.size(), 1u);
    EXPECT_EQ(inputs.relay_nodes[0].id, inputs.relays[0].node_id());
    EXPECT_EQ(inputs.removed_at, made.revision) << "an older map may have what it was before";
    EXPECT_TRUE(store_->map_inputs(tenant("other"))->relays.empty());
}

TEST_F(RelaysTest, WhoIsShutOutIsBarredUntilItsGrantsHaveRunOut) {
    const auto revoked = enrolled(enrolment(token(office_))).node;
    const auto expired = enrolled(enrolment(token(office_))).node;
    const auto deleted = enrolled(enrolment(token(office_))).node;
    const auto host = machine(acme_);
    EXPECT_TRUE(barred().empty());
    ASSERT_TRUE(store_->revoke_node(key_of(revoked)));
    clock_.advance(std::chrono::hours(1));
    ASSERT_TRUE(store_->expire_node(key_of(expired)));
    clock_.advance(std::chrono::hours(1));
    ASSERT_TRUE(store_->delete_node(key_of(deleted)));
    ASSERT_TRUE(store_->revoke_node(key_of(host)));
    EXPECT_EQ(barred(), (Ids{revoked.id, expired.id, deleted.id})) << "a relay has no grants";
    const auto inputs = *store_->map_inputs(acme_);
    EXPECT_TRUE(inputs.relay_nodes.empty());
    EXPECT_EQ(inputs.barred[2].until, clock_.now() + model::kBarredFor);
    EXPECT_GT(inputs.barred[2].until, clock_.now() + model::kRelayGrantLife);
    EXPECT_LE(inputs.barred[2].revision, inputs.revision);

    clock_.advance(model::kBarredFor - std::chrono::hours(1));
    EXPECT_EQ(barred(), Ids{deleted.id});
    clock_.advance(std::chrono::hours(1));
    EXPECT_TRUE(barred().empty());
}

TEST_F(RelaysTest, WhoIsShutOutByItsTimeIsBarredToo) {
    auto settings = *store_->policies().settings(acme_);
    settings.node_key_life = std::chrono::hours(1);
    ASSERT_TRUE(store_->policies().set_settings(settings));
    const auto node = enrolled(enrolment(token(office_))).node;
    clock_.advance(std::chrono::hours(2));
    ASSERT_EQ(store_->expire_due_keys()->size(), 1u);
    EXPECT_EQ(barred(), Ids{node.id});
}

TEST_F(RelaysTest, WhoCameBackIsNotBarred) {
    auto request = enrolment(token(office_, 2));
    const auto node = enrolled(request).node;
    ASSERT_TRUE(store_->touch_seen(key_of(node)));
    ASSERT_TRUE(store_->expire_node(key_of(node)));
    EXPECT_EQ(barred(), Ids{node.id});
    EXPECT_EQ(enrolled(request).node.id, node.id);
    EXPECT_TRUE(barred().empty());
}

TEST_F(RelaysTest, ANodesHomeIsARelayOfItsTenant) {
    const auto node = enrolled(enrolment(token(office_))).node;
    const auto home = relay(acme_);
    const auto theirs = relay(tenant("other"));
    EXPECT_FAILS(report(node, id()), Code::Invalid, "relayId");
    EXPECT_FAILS(report(node, theirs.id), Code::Invalid, "relayId");
    const auto region = *store_->objects().create({acme_, {}, ObjectKind::Region, "north", ""});
    EXPECT_FAILS(report(node, region.id), Code::Invalid, "relayId");

    ASSERT_TRUE(*report(node, home.id));
    EXPECT_EQ(events_.back().kind, EventKind::EndpointsChanged);
    EXPECT_EQ(store_->node(acme_, node.id)->memberships[0].relay_id, home.id);
    EXPECT_EQ(store_->map_inputs(acme_)->members.at(0).membership.relay_id, home.id);
    EXPECT_FALSE(*report(node, home.id)) << "nothing is new";
    ASSERT_TRUE(store_->objects().remove(ObjectKind::Relay, {acme_, home.id}));
    EXPECT_FALSE(*report(node, home.id)) << "it finds out by its map";
    ASSERT_TRUE(*report(node, ""));
    EXPECT_EQ(store_->node(acme_, node.id)->memberships[0].relay_id, "");
}

wire::PeerHealth path_to(const std::string& network_id, const std::string& node_id) {
    wire::PeerHealth told;
    told.network_id = network_id;
    told.node_id = node_id;
    told.path = wire::PeerPath::Direct;
    told.endpoint = "192.0.2.9:51820";
    told.rtt_ms = 12;
    return told;
}

TEST_F(RelaysTest, WhatANodeReportsOfItsPeersIsShownAndChangesNothingElse) {
    const auto node = enrolled(enrolment(token(office_), "a")).node;
    const auto peer = enrolled(enrolment(token(office_), "b")).node;
    const auto home = relay(acme_);
    EXPECT_FALSE(store_->health().of(key_of(node))->reported_at);
    const auto events = events_.size();
    const auto entries = store_->audit({.tenant_id = acme_, .page_size = 1000})->items.size();

    auto relayed = path_to(office_.id, peer.id);
    relayed.path = wire::PeerPath::RelayUdp;
    relayed.relay_id = home.id;
    ASSERT_TRUE(store_->health().put(key_of(node), {{relayed}, {}}));
    auto seen = *store_->health().of(key_of(node));
    EXPECT_EQ(seen.reported_at, clock_.now());
    ASSERT_EQ(seen.peers.size(), 1u);
    EXPECT_EQ(seen.peers[0].name, "b");
    EXPECT_EQ(seen.peers[0].network_name, "office");
    EXPECT_EQ(seen.peers[0].relay_name, "one");
    EXPECT_EQ(seen.peers[0].told.rtt_ms, 12);

    clock_.advance(std::chrono::seconds(30));
    ASSERT_TRUE(store_->health().put(key_of(node), {{path_to(office_.id, peer.id)}, {}}));
    seen = *store_->health().of(key_of(node));
    EXPECT_EQ(seen.reported_at, clock_.now());
    EXPECT_EQ(seen.peers.at(0).told.path, wire::PeerPath::Direct) << "the report before is gone";
    EXPECT_EQ(events_.size(), events);
    EXPECT_EQ(store_->audit({.tenant_id = acme_, .page_size = 1000})->items.size(), entries);

    ASSERT_TRUE(store_->delete_node(key_of(node)));
    EXPECT_FALSE(store_->health().of(key_of(node))->reported_at);
    EXPECT_FAILS(store_->health().put(key_of(node), {}), Code::NotFound, "node");
}

// Ids are no secrets: who knows one learns nothing of what it is.
TEST_F(RelaysTest, WhomANodeIsInNoNetworkWithIsNotShownAsItsPeer) {
    const auto lab = network(acme_, "lab", "10.101.0.0/24");
    const std::string other = tenant("other");
    const auto elsewhere = network(other, "else", "10.102.0.0/24");
    const auto node = enrolled(enrolment(token(office_), "a")).node;
    const auto sibling = enrolled(enrolment(token(lab), "sibling")).node;
    const auto foreign = enrolled(enrolment(token(elsewhere), "foreign")).node;
    const auto theirs = relay(other);
    wire::HealthReport report;
    for (const auto& network_id : {office_.id, lab.id, elsewhere.id})
        for (const auto& node_id : {sibling.id, foreign.id, id()})
            report.peers.push_back(path_to(network_id, node_id));
    ASSERT_TRUE(store_->health().put(key_of(node), report));
    EXPECT_TRUE(store_->health().of(key_of(node))->peers.empty());

    const auto peer = enrolled(enrolment(token(office_), "b")).node;
    auto relayed = path_to(office_.id, peer.id);
    relayed.relay_id = theirs.id;
    ASSERT_TRUE(store_->health().put(key_of(node), {{relayed}, {}}));
    EXPECT_EQ(store_->health().of(key_of(node))->peers.at(0).relay_name, "");
}

}  // namespace
}  // namespace cvlan::store
