// SPDX-License-Identifier: Apache-2.0
#include "tests/maps/fixture.h"

namespace cvlan::maps {
namespace {

TEST_F(MapsTest, ANodeWithoutAMapGetsItsNetworkAndEveryMemberOfIt) {
    load(2, 3);
    const auto answer = poll(1, std::nullopt);
    EXPECT_EQ(answer->map.kind, wire::MapKind::Full);
    EXPECT_EQ(answer->fragments.size(), 4u);  // the network and its three nodes
    for (const auto& fragment : answer->fragments) EXPECT_EQ(fragment.scope, id(1, 1));
    const auto head = model::decode<wire::MapHead>(as_text(answer->map.head->payload));
    EXPECT_EQ(head->node_id, id(2, 1));
    EXPECT_EQ(head->expires_at - head->issued_at, std::chrono::hours(24 * 7));
}

TEST_F(MapsTest, AVrouterAndItsRoutesAreToldToItsNetworksNodes) {
    load(1, 3);
    const Since before = settled(1);
    auto hub = network(1);
    hub.topology = model::Topology::Hub;
    ASSERT_TRUE(maps.put_network(hub, 2));
    auto gateway = node(3, {1}, 3);
    gateway.role = model::TokenRole::Vrouter;
    gateway.memberships[0].gateway = true;
    gateway.memberships[0].routes = {"192.168.7.0/24"};
    apply(store::EventKind::NodeChanged, 3, gateway);
    const auto delta = poll(1, before);
    ASSERT_EQ(delta->fragments.size(), 2u);
    EXPECT_EQ(delta->fragments[0].network->topology, wire::Topology::Hub);
    EXPECT_EQ(delta->fragments[1].peer->gateway, true);
    EXPECT_EQ(delta->fragments[1].peer->routes, std::vector<std::string>{"192.168.7.0/24"});
}

TEST_F(MapsTest, NothingNewIsNoAnswer) {
    load(1, 2);
    EXPECT_FALSE(poll(1, settled(1)));
}

TEST_F(MapsTest, OneNewEndpointAmongAThousandNodesTouchesTenMapsAndEncodesOneFragment) {
    load(100, 10);
    const Since before = settled(1);
    const Counters start = maps.counters();

    auto moved = node(5, {1}, 2);
    moved.memberships[0].endpoints.push_back(*Endpoint::parse("192.0.2.7:51820"));
    const auto touched = maps.put_node(moved, 2);

    ASSERT_TRUE(touched);
    EXPECT_EQ(touched->networks, std::set<std::string>{id(1, 1)});
    EXPECT_TRUE(touched->nodes.empty());
    EXPECT_EQ(maps.counters().fragments_encoded - start.fragments_encoded, 1u);
    EXPECT_EQ(maps.counters().node_maps_touched - start.node_maps_touched, 10u);
    EXPECT_EQ(maps.counters().heads_signed, start.heads_signed);

    const auto delta = poll(1, before);
    EXPECT_EQ(delta->map.kind, wire::MapKind::Delta);
    ASSERT_EQ(delta->fragments.size(), 1u);
    EXPECT_EQ(delta->fragments[0].peer->endpoints.at(0), "192.0.2.7:51820");
    EXPECT_LT(delta->bytes, 2048u);
}

TEST_F(MapsTest, ADeltaIsEncodedOnceForAllWhoHaveTheSame) {
    load(2, 5);
    for (int n = 1; n <= 10; ++n) settled(n);
    const Since before{7, 1};
    const Counters start = maps.counters();
    ASSERT_TRUE(maps.put_node(node(5, {1}, 2), 2));
    std::set<const std::string*> bodies;
    for (int n = 1; n <= 5; ++n) {
        const auto answer = maps.answer(kTenant, id(2, n), before);
        ASSERT_TRUE(answer && *answer);
        EXPECT_TRUE((*answer)->body.empty());
        ASSERT_EQ((*answer)->chunks.size(), 1u);
        bodies.insert((*answer)->chunks[0].get());
    }
    EXPECT_EQ(bodies.size(), 1u);
    for (int n = 6; n <= 10; ++n) EXPECT_FALSE(poll(n, before)) << "the other network's";
    EXPECT_EQ(maps.counters().deltas_encoded - start.deltas_encoded, 1u);
    EXPECT_EQ(maps.counters().deltas - start.deltas, 5u);

    // The next change makes another one, for those who are behind too.
    ASSERT_TRUE(maps.put_node(node(4, {1}, 3), 3));
    EXPECT_EQ(poll(1, before)->fragments.size(), 2u);
    EXPECT_EQ(poll(1, Since{7, 2})->fragments.size(), 1u);
    EXPECT_FALSE(poll(1, Since{7, 3}));
}

TEST_F(MapsTest, WhatIsSharedOfDeltasIsBoundedAndEveryAnswerIsRightAllTheSame) {
    load(1, 300);
    settled(1);
    for (int n = 1; n <= 300; ++n) ASSERT_TRUE(maps.put_node(node(n, {1}, n + 1), n + 1));
    // More than are kept, in an order in which the last ones find no place.
    for (int since = 1; since < 300; ++since)
        ASSERT_TRUE(*maps.answer(kTenant, id(2, 1), Since{7, since}));
    for (int since : {1, 2, 150, 283, 284, 285, 298, 299})
        EXPECT_EQ(poll(1, Since{7, since})->fragments.size(), size_t(301 - since));
}

TEST_F(MapsTest, ARemovedNodeIsATombstoneInTheDelta) {
    load(1, 3);
    const Since before = settled(1);
    settled(3);
    ASSERT_TRUE(maps.remove_node(kTenant, id(2, 3), 2));
    const auto delta = poll(1, before);
    ASSERT_EQ(delta->fragments.size(), 1u);
    EXPECT_TRUE(delta->fragments[0].removed.value_or(false));
    EXPECT_EQ(delta->fragments[0].id, id(2, 3));
    EXPECT_FALSE(maps.answer(kTenant, id(2, 3), std::nullopt));
    // Whoever comes anew hears nothing of it.
    const auto anew = poll(2, std::nullopt);
    for (const auto& fragment : anew->fragments) EXPECT_NE(fragment.id, id(2, 3));
}

TEST_F(MapsTest, ATagThatAsksForIpsecIsOneFragmentForThoseOfItsNetworkAlone) {
    load(2, 3);
    const Since before = settled(1);
    settled(4);
    auto tagged = node(2, {1}, 2);
    tagged.memberships[0].ipsec = true;
    const uint64_t encoded = maps.counters().fragments_encoded;
    apply(store::EventKind::NodeChanged, 2, tagged);
    EXPECT_EQ(maps.counters().fragments_encoded, encoded + 1);
    const auto delta = poll(1, before);
    ASSERT_EQ(delta->fragments.size(), 1u);
    EXPECT_EQ(delta->fragments[0].peer->data_plane, wire::DataPlane::Ipsec);
    EXPECT_FALSE(poll(4, before)) << "in the other network";
    // Another of its fields changes nobody's map.
    apply(store::EventKind::NodeChanged, 3, tagged);
    EXPECT_EQ(maps.counters().fragments_encoded, encoded + 1);
    EXPECT_FALSE(poll(1, Since{7, 2}));
}

TEST_F(MapsTest, ANetworkThatNamesATagTellsOfThoseThatHaveIt) {
    load(1, 3);
    const Since before = settled(1);
    auto tagged = member(node(2, {1}, 2));
    tagged.membership.ipsec = true;
    auto wanted = network(1);
    wanted.data_plane = model::DataPlane::Auto;
    Change change{{kTenant, 2, store::EventKind::NetworkChanged, wanted.id, {}, {}}, 7};
    change.network = wanted;
    change.members = {tagged, member(node(9, {1}, 2))};  // the last is in nobody's map
    ASSERT_TRUE(maps.apply(change));
    const auto delta = poll(1, before);
    ASSERT_EQ(delta->fragments.size(), 2u);
    EXPECT_EQ(delta->fragments[0].network->data_plane, wire::DataPlane::Auto);
    EXPECT_EQ(delta->fragments[1].id, id(2, 2));
    EXPECT_EQ(delta->fragments[1].peer->data_plane, wire::DataPlane::Ipsec);
}

TEST_F(MapsTest, AFurtherNetworkIsAFullMap) {
    load(2, 2);
    const Since before = settled(1);
    auto joined = node(1, {1, 2});
    joined.memberships[1].revision = 2;
    const auto touched = maps.put_node(joined, 2);
    EXPECT_EQ(touched->networks, std::set<std::string>{id(1, 2)});
    EXPECT_EQ(touched->nodes, std::set<std::string>{id(2, 1)});  // waits for the first one alone
    EXPECT_EQ(maps.networks_of(kTenant, id(2, 1)), (std::vector<std::string>{id(1, 1), id(1, 2)}));
    const auto answer = poll(1, before);
    EXPECT_EQ(answer->map.kind, wire::MapKind::Full);
    EXPECT_EQ(answer->fragments.size(), 3u + 4u);
}

// A controller that was restarted: the networks in which nothing happened meanwhile are not told
// anew to each of their nodes.
TEST_F(MapsTest, AfterARestartAnOlderMapIsBroughtUpToDateWhereNothingWasRemovedSince) {
    store::MapInputs inputs{9, {network(1)}, {}};
    inputs.removed_at = 3;
    for (int n = 1; n <= 3; ++n) inputs.members.push_back(member(node(n, {1}, n == 2 ? 7 : 2)));
    inputs.members[2].came_in_at = 5;
    maps.load(kTenant, 7, inputs);
    EXPECT_EQ(poll(1, Since{7, 2})->map.kind, wire::MapKind::Full) << "from before a removal";
    const auto delta = poll(1, Since{7, 4});
    EXPECT_EQ(delta->map.kind, wire::MapKind::Delta);
    ASSERT_EQ(delta->fragments.size(), 1u);
    EXPECT_EQ(delta->fragments[0].id, id(2, 2));
    EXPECT_EQ(poll(3, Since{7, 4})->map.kind, wire::MapKind::Full) << "from before it came in";
}

TEST_F(MapsTest, AnotherEpochOrAForgottenRevisionIsAnsweredInFull) {
    load(1, 2);
    settled(1);
    EXPECT_EQ(poll(1, Since{6, 1})->map.kind, wire::MapKind::Full);
    EXPECT_EQ(poll(1, Since{6, 99})->map.kind, wire::MapKind::Full);
    EXPECT_EQ(poll(1, Since{7, 0})->map.kind, wire::MapKind::Full);
}

// Of two controllers one hears of a change before the other; a node may move between them, and
// takes no revision below its own.
TEST_F(MapsTest, WhoIsAheadWaitsUntilTheMapsHaveCaughtUp) {
    load(1, 2);
    settled(1);
    EXPECT_FALSE(poll(1, Since{7, 3}));
    clock.advance(std::chrono::hours(25));
    EXPECT_FALSE(poll(1, Since{7, 3})) << "its head would be of an older revision";
    apply(store::EventKind::NodeRenamed, 3, node(2, {1}, 3));
    EXPECT_EQ(poll(1, Since{7, 3})->map.revision, 3);
    apply(store::EventKind::NodeRenamed, 4, node(2, {1}, 4));
    const auto delta = poll(1, Since{7, 3});
    EXPECT_EQ(delta->map.revision, 4);
    EXPECT_EQ(delta->fragments.size(), 1u);
}

// load() is given the store's revision, which every event raises: whoever has heard them all has
// the same, or its nodes could not go where the maps were loaded later.
TEST_F(MapsTest, WhatIsInNobodysMapRaisesTheRevisionAndLeavesTheDeltasShared) {
    load(1, 3);
    for (int n = 1; n <= 3; ++n) settled(n);
    apply(store::EventKind::NodeRenamed, 2, node(2, {1}, 2));
    ASSERT_TRUE(poll(1, Since{7, 1}));
    const Counters start = maps.counters();
    apply(store::EventKind::TokenCreated, 3);
    EXPECT_EQ(settled(3).revision, 3);
    EXPECT_EQ(poll(2, Since{7, 1})->map.revision, 2);
    EXPECT_EQ(maps.counters().deltas_encoded, start.deltas_encoded);
}

TEST_F(MapsTest, AHeadIsRenewedAfterADayEvenWithoutAChange) {
    load(1, 2);
    const Since since = settled(1);
    clock.advance(std::chrono::hours(25));
    const auto answer = poll(1, since);
    EXPECT_EQ(answer->map.kind, wire::MapKind::Delta);
    EXPECT_TRUE(answer->map.head);
    EXPECT_TRUE(answer->fragments.empty());
    EXPECT_FALSE(poll(1, since));
}

TEST_F(MapsTest, TenantsNeverMeet) {
    load(1, 2);
    maps.load("other", 1, {});
    EXPECT_FALSE(maps.answer("other", id(2, 1), std::nullopt));
}

TEST_F(MapsTest, AnObjectThatCanNotBeSignedSpoilsNoOther) {
    Maps fussy(
        [](const std::string& tenant_id, const std::string& payload) -> Result<wire::SignedBytes> {
            if (payload.find("node2") != std::string::npos) return fail(Code::Internal, "no");
            return sign(tenant_id, payload);
        },
        clock);
    // The bad one comes first: what follows it must be there all the same.
    fussy.load(kTenant, 7, {1, {network(1)}, {member(node(2, {1})), member(node(1, {1}))}});
    const auto answer = fussy.answer(kTenant, id(2, 1), std::nullopt);
    ASSERT_TRUE(answer && *answer);
    std::vector<std::string> names;
    for (const auto& fragment : decoded(**answer).fragments)
        names.push_back(fragment.network ? fragment.network->name : fragment.peer->name);
    EXPECT_EQ(names, (std::vector<std::string>{"net1", "node1"}));
}

TEST_F(MapsTest, WhatATenantDoesAtAMapsEndIsToldToEachNodeWithANewHead) {
    load(2, 2);
    const Since since = settled(1);
    const auto touched = maps.set_map_expiry(kTenant, model::MapExpiry::Drop);
    EXPECT_EQ(touched->nodes.size(), 4u);
    const auto answer = poll(1, since);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->map.kind, wire::MapKind::Delta);
    const auto head = model::decode<wire::MapHead>(as_text(answer->map.head->payload));
    EXPECT_EQ(head->map_expiry, wire::MapExpiry::Drop);
    EXPECT_FALSE(poll(1, since));
    EXPECT_TRUE(maps.set_map_expiry(kTenant, model::MapExpiry::Drop)->empty());
}

TEST_F(MapsTest, ANodeThatWaitsForApprovalHasAnEmptyMapUntilItIsApproved) {
    load(1, 2);
    auto waiting = node(3, {1}, 2);
    waiting.state = model::NodeState::Pending;
    EXPECT_TRUE(maps.put_node(waiting, 2)->networks.empty());
    EXPECT_TRUE(poll(3, std::nullopt)->fragments.empty());
    waiting.state = model::NodeState::Active;
    waiting.memberships[0].revision = 3;
    const auto touched = maps.put_node(waiting, 3);
    EXPECT_TRUE(touched->networks.contains(id(1, 1)));
    EXPECT_TRUE(touched->nodes.contains(id(2, 3))) << "it waits in no network yet";
    EXPECT_EQ(poll(3, Since{7, 2})->fragments.size(), 4u);
}

TEST_F(MapsTest, APlaceThatIsSpoiledLaterKeepsItsLastGoodForm) {
    load(1, 2);
    const Since since = settled(1);
    auto bad = node(2, {1}, 2);
    bad.memberships[0].wireguard_key = "nonsense";
    EXPECT_TRUE(maps.put_node(bad, 2)->empty());
    EXPECT_FALSE(poll(1, since));
    ASSERT_EQ(maps.quarantine().list(kTenant).size(), 1u);
    EXPECT_EQ(maps.quarantine().list(kTenant)[0].place.node_id, id(2, 2));
    EXPECT_TRUE(maps.quarantine().list("other").empty());
    ASSERT_TRUE(maps.put_node(node(2, {1}, 3), 3));
    EXPECT_EQ(maps.quarantine().size(), 0u);
    EXPECT_EQ(poll(1, since)->fragments.size(), 1u);
}

TEST(MapsSince, IsEpochDotRevision) {
    EXPECT_EQ(Since::parse("3.14")->revision, 14);
    for (const char* bad : {"", "3", "3.", ".3", "-1.3", "3.-1", "3.4x", "99999999999999999999.1"})
        EXPECT_FALSE(Since::parse(bad)) << bad;
}

}  // namespace
}  // namespace cvlan::maps
