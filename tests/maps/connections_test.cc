// SPDX-License-Identifier: Apache-2.0
// Connections to foreign sites are in the map of their network's gateway, and in no other.
#include "model/network_map.h"
#include "tests/maps/fixture.h"

namespace cvlan::maps {
namespace {

using wire::FragmentKind;

model::Connection connection(int n, int of, int64_t revision) {
    model::Connection made;
    made.tenant_id = kTenant;
    made.network_id = id(1, of);
    made.id = id(5, n);
    made.name = fmt::format("site{}", n);
    made.remote_identity = "fw.example";
    made.local_identity = model::local_ike_identity(made.id, "acme.example");
    made.remote_addresses = {*Address::parse("192.0.2.7")};
    made.remote_subnets = {*Prefix::parse(fmt::format("192.168.{}.0/24", n))};
    made.secret_revision = 1;
    made.revision = revision;
    return made;
}

model::Node gateway(int n, const std::vector<int>& networks, int64_t revision) {
    auto made = node(n, networks, revision);
    made.role = model::TokenRole::Vrouter;
    for (auto& membership : made.memberships) membership.gateway = true;
    return made;
}

size_t connections_in(const std::optional<Answer>& answer) {
    size_t count = 0;
    if (answer)
        for (const auto& fragment : answer->fragments)
            count += fragment.kind == FragmentKind::Connection ? 1 : 0;
    return count;
}

struct ConnectionMapsTest : MapsTest {
    void SetUp() override {
        load(2, 3);
        apply(store::EventKind::NodeChanged, 2, gateway(3, {1}, 2));
    }
    void apply_connection(store::EventKind kind, const model::Connection& of) {
        Change change{{kTenant, of.revision, kind, of.id, {}, {}}, 7};
        if (kind != store::EventKind::ObjectDeleted) change.connection = of;
        ASSERT_TRUE(maps.apply(change));
    }
};

TEST_F(ConnectionMapsTest, TheGatewayAloneIsTold) {
    const Since gateway = settled(3), member = settled(1), elsewhere = settled(4);
    const auto touched = maps.put_connection(connection(1, 1, 3), 3);
    ASSERT_TRUE(touched);
    EXPECT_TRUE(touched->networks.empty()) << "nobody else is woken";
    EXPECT_EQ(touched->nodes, std::set<std::string>{id(2, 3)});
    EXPECT_FALSE(poll(1, member));
    EXPECT_FALSE(poll(4, elsewhere));
    const auto delta = poll(3, gateway);
    ASSERT_TRUE(delta);
    EXPECT_EQ(delta->map.kind, wire::MapKind::Delta);
    ASSERT_EQ(delta->fragments.size(), 1u);
    const auto& told = delta->fragments[0];
    EXPECT_EQ(told.kind, FragmentKind::Connection);
    EXPECT_EQ(told.scope, id(1, 1));
    const auto read = model::from_wire(told.id, *told.connection);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, static_cast<const model::MapConnection&>(connection(1, 1, 3)));
    EXPECT_EQ(connections_in(poll(3, std::nullopt)), 1u);
    for (const int other : {1, 2, 4}) EXPECT_EQ(connections_in(poll(other, std::nullopt)), 0u);
}

TEST_F(ConnectionMapsTest, OneThatIsShutOffOrDeletedLeavesTheMap) {
    apply_connection(store::EventKind::ObjectCreated, connection(1, 1, 3));
    apply_connection(store::EventKind::ObjectCreated, connection(2, 1, 4));
    const Since before = settled(3);
    auto off = connection(1, 1, 5);
    off.enabled = false;
    apply_connection(store::EventKind::ObjectChanged, off);
    apply_connection(store::EventKind::ObjectDeleted, connection(2, 1, 6));
    const auto delta = poll(3, before);
    ASSERT_EQ(delta->fragments.size(), 2u);
    for (const auto& fragment : delta->fragments) EXPECT_EQ(fragment.removed, true);
    EXPECT_EQ(connections_in(poll(3, std::nullopt)), 0u);
    off = connection(1, 1, 7);
    apply_connection(store::EventKind::ObjectChanged, off);
    EXPECT_EQ(connections_in(poll(3, std::nullopt)), 1u);
}

TEST_F(ConnectionMapsTest, AnotherGatewayGetsThemAllAndTheFormerOneAMapWithout) {
    apply_connection(store::EventKind::ObjectCreated, connection(1, 1, 3));
    const Since former = settled(3), next = settled(2);
    apply(store::EventKind::NodeChanged, 4, node(3, {1}, 4));
    apply(store::EventKind::NodeChanged, 5, gateway(2, {1}, 5));
    const auto gone = poll(3, former), there = poll(2, next);
    EXPECT_EQ(gone->map.kind, wire::MapKind::Full);
    EXPECT_EQ(connections_in(gone), 0u);
    EXPECT_EQ(there->map.kind, wire::MapKind::Full);
    EXPECT_EQ(connections_in(there), 1u);
}

TEST_F(ConnectionMapsTest, ANetworkThatItLeavesTakesThemAlong) {
    apply_connection(store::EventKind::ObjectCreated, connection(1, 1, 3));
    apply(store::EventKind::NodeChanged, 4, gateway(3, {2}, 4));
    EXPECT_EQ(connections_in(poll(3, std::nullopt)), 0u);
    const auto touched = maps.put_connection(connection(1, 1, 5), 5);
    EXPECT_TRUE(touched->nodes.empty());
}

TEST_F(ConnectionMapsTest, AfterARestartWhoBecameTheGatewayMeanwhileIsToldOfOlderOnes) {
    store::MapInputs inputs;
    inputs.revision = 9;
    inputs.networks.push_back(network(1));
    inputs.members = {member(node(1, {1})), member(gateway(3, {1}, 8))};
    inputs.connections = {connection(1, 1, 4), connection(2, 2, 4)};
    maps.load(kTenant, 7, inputs);
    const auto delta = poll(3, Since{7, 6});
    EXPECT_EQ(delta->map.kind, wire::MapKind::Delta);
    EXPECT_EQ(connections_in(delta), 1u);
    EXPECT_EQ(connections_in(poll(1, Since{7, 6})), 0u);
}

}  // namespace
}  // namespace cvlan::maps
