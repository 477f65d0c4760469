// SPDX-License-Identifier: Apache-2.0
#include "model/relay_map.h"
#include "tests/maps/fixture.h"

namespace cvlan::maps {
namespace {

using store::EventKind;

model::Node relay_node(int n) {
    model::Node made = node(n, {});
    made.role = model::TokenRole::Relay;
    return made;
}

store::MapRelay relay(int n, const model::Node& on, int64_t revision = 1) {
    store::MapRelay made;
    made.object.tenant_id = kTenant;
    made.object.id = id(4, n);
    made.object.kind = model::ObjectKind::Relay;
    made.object.name = fmt::format("relay{}", n);
    made.object.endpoints = {"192.0.2.1:443"};
    made.object.links[model::Relation::Node] = {on.id};
    made.revision = revision;
    return made;
}

// Node 999 is a relay; 1, 2, … are in network 1.
struct RelayMapsTest : MapsTest {
    model::Node machine = relay_node(999);

    void start(int nodes) {
        store::MapInputs inputs{1, {network(1)}, {}};
        inputs.removed_at = 1;
        for (int n = 1; n <= nodes; ++n) inputs.members.push_back(member(node(n, {1})));
        inputs.relay_nodes = {{machine.id, 1}};
        maps.load(kTenant, 7, inputs);
    }
    static model::RelayMap read(const Answer& answer, const std::string& of = id(2, 999)) {
        wire::MapHead head;
        head.tenant_id = kTenant;
        head.node_id = of;
        return model::build_relay_map(head, answer.fragments, answer.map.revision);
    }
    static bool is_barred(const Answer& answer, int n) {
        return read(answer).barred.contains({id(2, n), ""});
    }
};

TEST_F(RelayMapsTest, ARelaysChangeIsOneFragmentForAllNodesOfTheTenant) {
    start(100);
    for (int n = 1; n <= 100; ++n) settled(n);
    const Counters before = maps.counters();
    const auto touched = maps.put_relay(relay(1, machine), 2);
    ASSERT_TRUE(touched);
    EXPECT_EQ(touched->nodes.size(), 101u);
    EXPECT_TRUE(touched->networks.empty());
    for (int n = 1; n <= 100; ++n) {
        const auto delta = poll(n, Since{7, 1});
        ASSERT_EQ(delta->fragments.size(), 1u);
        EXPECT_EQ(delta->map.kind, wire::MapKind::Delta);
        EXPECT_EQ(delta->fragments[0].scope, kTenant);
        EXPECT_EQ(delta->fragments[0].relay->node_id, machine.id);
        EXPECT_EQ(delta->fragments[0].relay->stun_port, 3478);
    }
    EXPECT_EQ(maps.counters().fragments_encoded - before.fragments_encoded, 1u);
    EXPECT_EQ(maps.counters().deltas_encoded - before.deltas_encoded, 1u);
    EXPECT_EQ(maps.counters().heads_signed, before.heads_signed);
    EXPECT_EQ(poll(1, std::nullopt)->fragments.size(), 102u) << "in a full map it is too";
}

TEST_F(RelayMapsTest, WhatIsToldOfNobodyCostsNothing) {
    start(2);
    ASSERT_TRUE(maps.put_relay(relay(1, machine), 2));
    const Counters before = maps.counters();
    auto described = relay(1, machine, 3);
    described.object.description = "in the cellar";
    EXPECT_TRUE(maps.put_relay(described, 3)->empty());
    auto elsewhere = relay(2, node(1, {1}), 4);
    EXPECT_TRUE(maps.put_relay(elsewhere, 4)->empty()) << "a node that is no relay";
    EXPECT_TRUE(maps.remove_relay(kTenant, id(4, 2), 5)->empty());
    EXPECT_TRUE(maps.remove_relay(kTenant, id(4, 7), 6)->empty()) << "another kind of object";
    EXPECT_EQ(maps.counters().fragments_encoded, before.fragments_encoded);
}

TEST_F(RelayMapsTest, ARelayHearsOfNoPeer) {
    start(3);
    ASSERT_TRUE(maps.put_relay(relay(1, machine), 2));
    auto moved = node(2, {1}, 3);
    moved.memberships[0].endpoints.push_back(*Endpoint::parse("203.0.113.77:51820"));
    ASSERT_TRUE(maps.put_node(moved, 3));
    ASSERT_TRUE(maps.remove_node(kTenant, id(2, 3), 4));
    for (const auto since : {std::optional<Since>(), std::optional<Since>(Since{7, 1})}) {
        const auto answer = poll(999, since);
        ASSERT_TRUE(answer);
        std::string all;
        for (const auto& fragment : answer->map.fragments) all += as_text(fragment.payload);
        const std::string key = node(2, {1}).memberships[0].wireguard_key;
        for (const std::string canary : {"PEER", "NETWORK", "node1", "node2", "node3", "net1",
                                         "10.1.0.", "203.0.113.77", key.c_str()})
            EXPECT_EQ(all.find(canary), std::string::npos) << canary;
        EXPECT_EQ(answer->fragments.size(), 2u) << "itself, and whom it must not serve";
    }
    EXPECT_TRUE(maps.networks_of(kTenant, machine.id).empty());
}

TEST_F(RelayMapsTest, ANodeThatIsShutOutIsBarredAtRelaysAndNowhereElse) {
    start(3);
    settled(999);
    settled(1);
    const auto touched = maps.remove_node(kTenant, id(2, 3), 2);
    EXPECT_EQ(touched->nodes, (std::set<std::string>{id(2, 3), machine.id}));
    const auto told = poll(999, Since{7, 1});
    ASSERT_EQ(told->fragments.size(), 1u);
    EXPECT_EQ(told->map.kind, wire::MapKind::Delta);
    EXPECT_EQ(told->fragments[0].barred->until, clock.now() + model::kBarredFor);
    EXPECT_TRUE(is_barred(*told, 3));
    for (const auto since : {std::optional<Since>(), std::optional<Since>(Since{7, 1})}) {
        const auto others = poll(1, since);
        for (const auto& fragment : others->fragments)
            EXPECT_NE(fragment.kind, wire::FragmentKind::Barred);
    }
}

TEST_F(RelayMapsTest, WhoComesBackIsLetThroughAgain) {
    start(3);
    settled(999);
    ASSERT_TRUE(maps.remove_node(kTenant, id(2, 3), 2));
    ASSERT_TRUE(maps.put_node(node(3, {1}, 3), 3));
    const auto told = poll(999, Since{7, 2});
    ASSERT_EQ(told->fragments.size(), 1u);
    EXPECT_TRUE(told->fragments[0].removed.value_or(false));
    EXPECT_EQ(told->fragments[0].id, id(2, 3));
    EXPECT_TRUE(read(*poll(999, std::nullopt)).barred.empty());
}

TEST_F(RelayMapsTest, WhoLeftOneOfItsNetworksIsBarredInThatOne) {
    start(2);
    store::MapInputs inputs{1, {network(1), network(2)}, {}};
    const auto both = node(1, {1, 2});
    for (const auto& place : both.memberships)
        inputs.members.push_back({both.name, model::TokenRole::Node, place});
    inputs.relay_nodes = {{machine.id, 1}};
    maps.load(kTenant, 7, inputs);
    settled(999);
    ASSERT_TRUE(maps.put_node(node(1, {1}, 2), 2));
    const auto map = read(*poll(999, Since{7, 1}));
    EXPECT_TRUE(map.is_barred(both.id, id(1, 2), clock.now()));
    EXPECT_FALSE(map.is_barred(both.id, id(1, 1), clock.now()));
    EXPECT_FALSE(map.is_barred(both.id, id(1, 2), clock.now() + model::kBarredFor));
    ASSERT_TRUE(maps.put_node(node(1, {1, 2}, 3), 3));
    EXPECT_TRUE(read(*poll(999, std::nullopt)).barred.empty());
}

// A relay's memory of those who are gone does not grow for ever.
TEST_F(RelayMapsTest, WhatHasEndedIsTakenAwayWithTheNext) {
    start(3);
    settled(999);
    ASSERT_TRUE(maps.remove_node(kTenant, id(2, 2), 2));
    clock.advance(model::kBarredFor);
    ASSERT_TRUE(maps.remove_node(kTenant, id(2, 3), 3));
    const auto told = poll(999, Since{7, 2});
    ASSERT_EQ(told->fragments.size(), 2u);
    for (const auto& fragment : told->fragments)
        EXPECT_EQ(fragment.removed.value_or(false), fragment.id == id(2, 2));
    const auto anew = poll(999, std::nullopt);
    EXPECT_FALSE(is_barred(*anew, 2));
    EXPECT_TRUE(is_barred(*anew, 3));
}

// Its certificate is good for a month: that it is a relay no more is for the maps to say.
TEST_F(RelayMapsTest, ARelayWhoseNodeWasShutOutIsInNobodysMapUntilItComesBack) {
    start(2);
    ASSERT_TRUE(maps.put_relay(relay(1, machine), 2));
    settled(1);
    const auto touched = maps.remove_node(kTenant, machine.id, 3);
    EXPECT_EQ(touched->nodes.size(), 3u);
    const auto delta = poll(1, Since{7, 2});
    ASSERT_EQ(delta->fragments.size(), 1u);
    EXPECT_TRUE(delta->fragments[0].removed.value_or(false));
    EXPECT_EQ(delta->fragments[0].id, id(4, 1));

    ASSERT_TRUE(maps.put_node(machine, 4));
    EXPECT_EQ(poll(1, Since{7, 3})->fragments.at(0).relay->name, "relay1");
    EXPECT_EQ(read(*poll(999, std::nullopt)).relays.size(), 1u);
}

TEST_F(RelayMapsTest, ARelayWithoutEndpointsOrWithoutANodeLeavesTheMaps) {
    start(1);
    settled(1);
    ASSERT_TRUE(maps.put_relay(relay(1, machine), 2));
    auto bare = relay(1, machine, 3);
    bare.object.endpoints.clear();
    ASSERT_TRUE(maps.put_relay(bare, 3));
    EXPECT_TRUE(poll(1, Since{7, 2})->fragments.at(0).removed.value_or(false));
    ASSERT_TRUE(maps.put_relay(relay(1, machine, 4), 4));
    auto homeless = relay(1, machine, 5);
    homeless.object.links.clear();
    ASSERT_TRUE(maps.put_relay(homeless, 5));
    EXPECT_TRUE(poll(1, Since{7, 4})->fragments.at(0).removed.value_or(false));
    ASSERT_TRUE(maps.put_relay(relay(1, machine, 6), 6));
    EXPECT_FALSE(maps.remove_relay(kTenant, id(4, 1), 7)->empty());
    EXPECT_TRUE(poll(1, Since{7, 6})->fragments.at(0).removed.value_or(false));
}

TEST_F(RelayMapsTest, ARegionIsToldByItsName) {
    start(1);
    settled(1);
    model::Object region;
    region.tenant_id = kTenant;
    region.id = id(5, 1);
    region.name = "north";
    auto placed = relay(1, machine, 2);
    placed.object.links[model::Relation::Region] = {region.id};
    placed.region_name = region.name;
    ASSERT_TRUE(maps.put_relay(placed, 2));
    ASSERT_TRUE(maps.put_relay(relay(2, machine, 3), 3));
    region.name = "south";
    ASSERT_TRUE(maps.put_region(region, 4));
    const auto delta = poll(1, Since{7, 3});
    ASSERT_EQ(delta->fragments.size(), 1u);
    EXPECT_EQ(delta->fragments[0].relay->region, "south");
    EXPECT_EQ(delta->fragments[0].relay->region_id, region.id);
}

TEST_F(RelayMapsTest, AfterARestartANodeIsBroughtUpToDateAndARelayGetsAllOfIt) {
    store::MapInputs inputs{9, {network(1)}, {member(node(1, {1}))}};
    inputs.removed_at = 3;
    inputs.relay_nodes = {{machine.id, 2}};
    inputs.relays = {relay(1, machine, 6)};
    inputs.barred = {{id(2, 5), clock.now() + std::chrono::hours(3), 4}};
    maps.load(kTenant, 7, inputs);
    const auto delta = poll(1, Since{7, 5});
    EXPECT_EQ(delta->map.kind, wire::MapKind::Delta);
    ASSERT_EQ(delta->fragments.size(), 1u);
    EXPECT_EQ(delta->fragments[0].id, id(4, 1));
    EXPECT_FALSE(poll(1, Since{7, 9}));
    EXPECT_EQ(poll(1, Since{7, 2})->map.kind, wire::MapKind::Full) << "from before a removal";
    // Who was let in again meanwhile is known to nobody.
    const auto all = poll(999, Since{7, 8});
    EXPECT_EQ(all->map.kind, wire::MapKind::Full);
    EXPECT_TRUE(is_barred(*all, 5));
    EXPECT_EQ(read(*all).relays.size(), 1u);
}

TEST_F(RelayMapsTest, ARelayThatWaitsForApprovalHearsNothing) {
    start(2);
    ASSERT_TRUE(maps.put_relay(relay(1, machine), 2));
    auto waiting = relay_node(998);
    waiting.state = model::NodeState::Pending;
    ASSERT_TRUE(maps.put_node(waiting, 3));
    EXPECT_TRUE(poll(998, std::nullopt)->fragments.empty());
    ASSERT_TRUE(maps.remove_node(kTenant, id(2, 2), 4));
    EXPECT_TRUE(poll(998, std::nullopt)->fragments.empty());
    waiting.state = model::NodeState::Active;
    ASSERT_TRUE(maps.put_node(waiting, 5));
    EXPECT_EQ(poll(998, Since{7, 4})->fragments.size(), 2u);
}

TEST_F(RelayMapsTest, AnotherTenantHearsOfNoRelay) {
    start(1);
    store::MapInputs inputs{1, {}, {}};
    inputs.relay_nodes = {{id(2, 50), 1}};
    maps.load("other", 1, inputs);
    ASSERT_TRUE(maps.put_relay(relay(1, machine), 2));
    const auto theirs = maps.answer("other", id(2, 50), std::nullopt);
    ASSERT_TRUE(theirs && *theirs);
    EXPECT_TRUE(decoded(**theirs).fragments.empty());
    EXPECT_FALSE(maps.answer("other", machine.id, std::nullopt));
}

}  // namespace
}  // namespace cvlan::maps
