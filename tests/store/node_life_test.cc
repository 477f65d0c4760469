// SPDX-License-Identifier: Apache-2.0
// Nodes with tags, that wait for approval, that end by themselves, or that are no agent.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using namespace std::chrono_literals;
using model::NodeState;
using Names = std::vector<std::string>;

struct NodeLifeTest : StoreTest {
    std::string acme = tenant("acme");
    model::Network office = network(acme, "office", "10.0.0.0/24");

    model::Object tag(const std::string& name) { return new_tag(acme, name); }
    void settle(const model::Settings& wanted) {
        auto set = store_->policies().set_settings(wanted);
        ASSERT_TRUE(set) << set.error().message;
    }
    NodeState state_of(const model::Node& node) { return store_->node(acme, node.id)->state; }
    model::Node ephemeral(const std::string& name) {
        model::TokenClaims claims = token(office);
        claims.id = id();
        EXPECT_TRUE(store_->create_token(claims, 10min));
        return enrolled(enrolment(claims, name)).node;
    }
    Result<model::Node> external(const std::string& name, const Names& tags = {}) {
        return store_->create_external({acme, name, office.id, base64(random_bytes(32)), tags});
    }
};

TEST_F(NodeLifeTest, ANodesStandingIsWhatItsRowAndItsTenantSay) {
    const model::Node node = enrolled(enrolment(token(office), "web")).node;
    auto now = store_->standing({acme, node.id});
    ASSERT_TRUE(now) << now.error().message;
    EXPECT_EQ(now->state, NodeState::Active);
    EXPECT_EQ(now->serial, node.certificate_serial);
    EXPECT_EQ(now->key_hash, node.tls_key_hash);
    EXPECT_EQ(now->previous_serial, "");
    EXPECT_FALSE(now->was_seen);
    EXPECT_FALSE(now->is_suspended);

    ASSERT_TRUE(store_->touch_seen({acme, node.id}));
    ASSERT_TRUE(store_->update_tenant(acme, {.suspended = true}));
    ASSERT_TRUE(store_->revoke_node({acme, node.id}));
    now = store_->standing({acme, node.id});
    EXPECT_EQ(now->state, NodeState::Revoked);
    EXPECT_TRUE(now->was_seen);
    EXPECT_TRUE(now->is_suspended);

    const auto elsewhere = store_->standing({tenant("globex"), node.id});
    EXPECT_EQ(elsewhere.error().code, Code::NotFound);
}

TEST_F(NodeLifeTest, ANodeHasTheTagsOfItsTokenOrThoseItWasGiven) {
    tag("web");
    tag("db");
    model::TokenClaims claims = token(office);
    claims.id = id();
    claims.tags = {"web"};
    ASSERT_TRUE(store_->create_token(claims, {}));
    const model::Node node = enrolled(enrolment(claims, "a")).node;
    EXPECT_EQ(node.tags, Names{"web"});
    enrolled(enrolment(token(office), "b"));
    EXPECT_EQ(store_->nodes({.tenant = acme, .tag = "web"})->items.size(), 1u);
    EXPECT_EQ(store_->update_node(key_of(node), {.tags = Names{"web", "db"}})->tags,
              (Names{"db", "web"}));
    EXPECT_EQ(events_.back().kind, EventKind::NodeChanged);
    EXPECT_TRUE(events_.back().network_ids.empty()) << "it is in nobody's map";
    EXPECT_TRUE(store_->update_node(key_of(node), {.tags = Names{}})->tags.empty());
}

// The answer to an enrolment is made of what was written, not read back.
TEST_F(NodeLifeTest, AnEnrolmentAnswersWithTheNodeAsItIsStored) {
    tag("web");
    tag("db");
    settle({.tenant_id = acme, .device_approval = true, .node_key_life = 24h});
    model::TokenClaims claims = token(office);
    claims.id = id();
    claims.tags = {"web", "db"};
    ASSERT_TRUE(store_->create_token(claims, 10min));
    auto request = enrolment(claims, "a");
    request.inventory = {"a",      "Debian 12", "6.1",
                         "x86_64", "1",         {"02:00:00:00:00:02", "02:00:00:00:00:01"}};
    request.joining.endpoints = {*Endpoint::parse("192.0.2.1:51820")};
    const Enrolled made = enrolled(request);
    EXPECT_EQ(made.node, *store_->node(acme, made.node.id));
    EXPECT_EQ(made.node.tags, (Names{"db", "web"}));
    EXPECT_EQ(made.node.state, NodeState::Pending);
    EXPECT_EQ(made.node.memberships, std::vector{made.membership});
    EXPECT_EQ(made.network.node_count, store_->network(acme, office.id)->node_count);
}

TEST_F(NodeLifeTest, ATagMustBeOfTheTenant) {
    tag("web");
    const std::string other = tenant("other");
    const model::Network lab = network(other, "lab", "10.0.0.0/24");
    const model::Node node = enrolled(enrolment(token(lab))).node;
    EXPECT_FAILS(store_->update_node(key_of(node), {.tags = Names{"web"}}), Code::Invalid,
                 "no tag 'web'");
    model::TokenClaims claims = token(lab);
    claims.id = id();
    claims.tags = {"web"};
    EXPECT_FAILS(store_->create_token(claims, {}), Code::Invalid, "no tag 'web'");
}

// What the tag lets reach the node would change without a word.
TEST_F(NodeLifeTest, ATagOnANodeIsNotDeleted) {
    const model::Object web = tag("web");
    const model::Node node = enrolled(enrolment(token(office), "a")).node;
    ASSERT_TRUE(store_->update_node(key_of(node), {.tags = Names{"web"}}));
    EXPECT_FAILS(store_->objects().remove(web.kind, {acme, web.id}), Code::Conflict, "'a'");
    ASSERT_TRUE(store_->delete_node(key_of(node)));
    EXPECT_TRUE(store_->objects().remove(web.kind, {acme, web.id}));
}

TEST_F(NodeLifeTest, ANewDeviceWaitsForApprovalWhereTheTenantAsksForIt) {
    const model::Node before = enrolled(enrolment(token(office), "old")).node;
    settle({.tenant_id = acme, .device_approval = true});
    const auto request = enrolment(token(office, 2), "new");
    const model::Node node = enrolled(request).node;
    EXPECT_EQ(node.state, NodeState::Pending);
    EXPECT_EQ(state_of(before), NodeState::Active);
    const auto inputs = store_->map_inputs(acme);
    EXPECT_EQ(inputs->members.size(), 1u);
    EXPECT_EQ(inputs->pending, Names{node.id});
    // To come back is no way round it.
    EXPECT_EQ(enrolled(request).node.id, node.id);
    EXPECT_EQ(state_of(node), NodeState::Pending);
    EXPECT_EQ(store_->approve_node(key_of(node))->state, NodeState::Active);
    EXPECT_EQ(store_->approve_node(key_of(node))->state, NodeState::Active);
    EXPECT_EQ(store_->map_inputs(acme)->members.size(), 2u);
    // Once approved it stays so.
    ASSERT_TRUE(store_->expire_node(key_of(node)));
    EXPECT_EQ(enrolled(request).node.state, NodeState::Active);
}

TEST_F(NodeLifeTest, ApprovalDoesNotBringBackARevokedOrExpiredNode) {
    settle({.tenant_id = acme, .device_approval = true});
    const model::Node revoked = enrolled(enrolment(token(office), "a")).node;
    ASSERT_TRUE(store_->revoke_node(key_of(revoked)));
    EXPECT_EQ(store_->approve_node(key_of(revoked))->state, NodeState::Revoked);
    const model::Node expired = enrolled(enrolment(token(office), "b")).node;
    ASSERT_TRUE(store_->expire_node(key_of(expired)));
    EXPECT_EQ(store_->approve_node(key_of(expired))->state, NodeState::Expired);
}

TEST_F(NodeLifeTest, AnEphemeralNodeGoesWhenItWasAwayForTooLong) {
    const WallTime up_since = clock_.now();
    const model::Node idle = ephemeral("idle");
    const model::Node busy = ephemeral("busy");
    const model::Node lasting = enrolled(enrolment(token(office), "lasting")).node;
    clock_.advance(9min);
    EXPECT_TRUE(store_->delete_idle_nodes(up_since)->empty());
    ASSERT_TRUE(store_->touch_seen(key_of(busy)));
    clock_.advance(1min);
    const auto gone = store_->delete_idle_nodes(up_since);
    ASSERT_EQ(gone->size(), 1u);
    EXPECT_EQ(gone->front().id, idle.id);
    EXPECT_EQ(events_.back().kind, EventKind::NodeDeleted);
    EXPECT_EQ(store_->nodes({.tenant = acme})->items.size(), 2u);
    clock_.advance(9min);
    EXPECT_EQ(store_->delete_idle_nodes(up_since)->size(), 1u);
    EXPECT_TRUE(store_->node(acme, lasting.id));
    EXPECT_EQ(store_->network(acme, office.id)->node_count, 1);
}

// It has yet to come for its map: nobody has seen it since.
TEST_F(NodeLifeTest, AnEphemeralNodeThatEnrolsAgainHasItsTimeAnew) {
    const WallTime up_since = clock_.now();
    model::TokenClaims claims = token(office);
    claims.id = id();
    claims.uses = 2;
    ASSERT_TRUE(store_->create_token(claims, 10min));
    const auto request = enrolment(claims, "runner");
    const model::Node node = enrolled(request).node;
    ASSERT_TRUE(store_->touch_seen(key_of(node)));
    clock_.advance(9min);
    ASSERT_EQ(enrolled(request).node.id, node.id);
    clock_.advance(9min);
    EXPECT_FALSE(*store_->jobs().has_due_nodes(up_since));
    EXPECT_TRUE(store_->delete_idle_nodes(up_since)->empty());
    clock_.advance(1min);
    EXPECT_TRUE(*store_->jobs().has_due_nodes(up_since));
    EXPECT_EQ(store_->delete_idle_nodes(up_since)->size(), 1u);
}

// While no controller was up, no node could be seen.
TEST_F(NodeLifeTest, ARestartDoesNotDeleteThoseThatNobodyCouldSee) {
    const model::Node node = ephemeral("a");
    ASSERT_TRUE(store_->touch_seen(key_of(node)));
    clock_.advance(3h);
    const WallTime up_since = clock_.now();
    EXPECT_TRUE(store_->delete_idle_nodes(up_since)->empty());
    clock_.advance(9min);
    EXPECT_TRUE(store_->delete_idle_nodes(up_since)->empty());
    clock_.advance(1min);
    EXPECT_EQ(store_->delete_idle_nodes(up_since)->size(), 1u);
}

TEST_F(NodeLifeTest, ANodeWhoseKeyHasRunOutMustEnrolAgain) {
    settle({.tenant_id = acme, .node_key_life = 24h});
    const auto request = enrolment(token(office, 9, 1000h), "a");
    const model::Node node = enrolled(request).node;
    EXPECT_EQ(node.key_expires_at, clock_.now() + 24h);
    clock_.advance(24h - 1ms);
    EXPECT_TRUE(store_->expire_due_keys()->empty());
    clock_.advance(1ms);
    EXPECT_EQ(store_->expire_due_keys()->size(), 1u);
    EXPECT_EQ(state_of(node), NodeState::Expired);
    EXPECT_EQ(events_.back().kind, EventKind::NodeExpired);
    EXPECT_EQ(events_.back().network_ids, Names{office.id});
    EXPECT_TRUE(store_->expire_due_keys()->empty());
    EXPECT_EQ(enrolled(request).node.key_expires_at, clock_.now() + 24h);
    ASSERT_TRUE(store_->update_node(key_of(node), {.never_expires = true}));
    clock_.advance(1000h);
    EXPECT_TRUE(store_->expire_due_keys()->empty());
    ASSERT_TRUE(store_->update_node(key_of(node), {.key_expires_at = clock_.now()}));
    EXPECT_EQ(store_->expire_due_keys()->size(), 1u);
}

TEST_F(NodeLifeTest, AnExternalNodeHasAnAddressAndAPlaceInTheMap) {
    tag("phone");
    const auto node = external("anna", {"phone"});
    ASSERT_TRUE(node) << node.error().message;
    EXPECT_TRUE(node->external);
    EXPECT_EQ(node->tags, Names{"phone"});
    ASSERT_EQ(node->memberships.size(), 1u);
    EXPECT_TRUE(node->memberships[0].ipv4);
    EXPECT_EQ(store_->map_inputs(acme)->members.size(), 1u);
    EXPECT_FAILS(external("anna"), Code::Exists, "taken");
    EXPECT_TRUE(external("bert"));
    const std::string key = node->memberships[0].wireguard_key;
    EXPECT_FAILS(store_->create_external({acme, "copy", office.id, key, {}}), Code::Exists, "key");
    ASSERT_TRUE(store_->revoke_node(key_of(*node)));
    ASSERT_TRUE(store_->delete_node(key_of(*node)));
    EXPECT_FAILS(store_->create_external({acme, "again", office.id, key, {}}), Code::Denied, "");
    EXPECT_FAILS(
        store_->create_external({tenant("other"), "x", office.id, base64(random_bytes(32)), {}}),
        Code::NotFound, "network");
}

TEST_F(NodeLifeTest, NodesAreFoundByTheirState) {
    const model::Node node = enrolled(enrolment(token(office), "a")).node;
    enrolled(enrolment(token(office), "b"));
    ASSERT_TRUE(store_->expire_node(key_of(node)));
    const auto found = store_->nodes({.tenant = acme, .node_state = NodeState::Expired});
    ASSERT_EQ(found->items.size(), 1u);
    EXPECT_EQ(found->items[0].id, node.id);
    Filter filter{.tenant = acme, .network_id = office.id, .order_by = OrderBy::Name};
    filter.descending = true;
    EXPECT_EQ(store_->nodes(filter)->items.front().name, "b");
}

// Each is a change of its own, and whoever writes waits for what is done in one transaction.
TEST_F(NodeLifeTest, AFleetExpiresInSlices) {
    const auto claims = token(office, 25, std::chrono::hours(24));
    for (int i = 0; i < 25; ++i) {
        const auto node = enrolled(enrolment(claims, fmt::format("n{}", i))).node;
        NodeChange change;
        change.key_expires_at = clock_.now();
        ASSERT_TRUE(store_->update_node(key_of(node), change));
    }
    EXPECT_EQ(store_->expire_due_keys()->size(), 20u);
    EXPECT_EQ(store_->expire_due_keys()->size(), 5u);
    EXPECT_TRUE(store_->expire_due_keys()->empty());
}

}  // namespace
}  // namespace cvlan::store
