// SPDX-License-Identifier: Apache-2.0
// Jobs: one at a time, and who has lost a lease writes nothing for it.
#include "store/jobs.h"

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using namespace std::chrono_literals;

struct JobsTest : StoreTest {
    JobsTest() { EXPECT_TRUE(store_->jobs().ensure({"sweep"})); }
    std::optional<Lease> take(const std::string& holder) {
        auto lease = store_->jobs().take("sweep", holder);
        EXPECT_TRUE(lease) << lease.error().message;
        return lease.value_or(std::nullopt);
    }
    Job sweep() { return store_->jobs().list({})->items.front(); }
};

TEST_F(JobsTest, IsTakenByOneAndAgainOnlyWhenItIsDue) {
    const auto lease = take("a");
    ASSERT_TRUE(lease);
    EXPECT_FALSE(take("b"));
    EXPECT_EQ(sweep().holder, "a");
    EXPECT_TRUE(store_->jobs().finish(*lease, {true, "3 removed", clock_.now() + 1h}));
    EXPECT_EQ(sweep().result, "3 removed");
    EXPECT_FALSE(take("b"));
    clock_.advance(1h);
    EXPECT_TRUE(take("b"));
}

TEST_F(JobsTest, WhoStoodStillForLongerThanItsLeaseWritesNothingAnyMore) {
    const auto old = take("a");
    const auto under_old = store_->under(*old);
    const std::string acme = tenant("acme");
    ASSERT_TRUE(under_old->update_tenant(acme, {.name = "while-held"}));
    clock_.advance(Jobs::kLease + 1ms);
    const auto now = take("b");
    ASSERT_TRUE(now);
    EXPECT_EQ(now->number, old->number + 1);
    const auto late = under_old->update_tenant(acme, {.name = "too-late"});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().reason, "LEASE_LOST");
    EXPECT_EQ(store_->tenant(acme)->name, "while-held");
    EXPECT_EQ(store_->jobs().finish(*old, {}).error().reason, "LEASE_LOST");
    // Nor through a view of the view.
    EXPECT_FALSE(under_old->as({"job:sweep"})->update_tenant(acme, {.name = "too-late"}));
    EXPECT_TRUE(store_->under(*now)->update_tenant(acme, {.name = "in-time"}));
}

TEST_F(JobsTest, AWriteProlongsTheLease) {
    const auto lease = take("a");
    const std::string acme = tenant("acme");
    clock_.advance(Jobs::kLease - 1s);
    ASSERT_TRUE(store_->under(*lease)->update_tenant(acme, {.name = "still"}));
    clock_.advance(2s);
    EXPECT_FALSE(take("b"));
}

TEST_F(JobsTest, ARequestMakesItDueAndStandsInTheOperatorsAudit) {
    const auto lease = take("a");
    ASSERT_TRUE(store_->jobs().finish(*lease, {true, "", clock_.now() + 24h}));
    ASSERT_TRUE(store_->as({"operator:0"})->jobs().request_run(sweep().id));
    EXPECT_TRUE(take("a"));
    const auto page = store_->audit({});
    ASSERT_EQ(page->items.size(), 1u);
    EXPECT_EQ(page->items[0].action, "JOB_REQUESTED");
    EXPECT_EQ(page->items[0].actor, "operator:0");
    EXPECT_EQ(page->items[0].object_kind, "job");
    EXPECT_EQ(store_->jobs().request_run(id()).error().code, Code::NotFound);
}

TEST_F(JobsTest, WhatIsOldGoesAndTheRestStays) {
    const auto network = this->network(tenant("acme"), "office", "10.1.0.0/24");
    const auto old = token(network, 1, 1h);
    clock_.advance(48h);
    const auto young = token(network, 1, 24h);
    EXPECT_EQ(*store_->jobs().prune_tokens(clock_.now() - 24h), 1);
    EXPECT_EQ(*store_->jobs().prune_tokens(clock_.now() - 24h), 0);
    EXPECT_FALSE(store_->token({}, old.id));
    EXPECT_TRUE(store_->token({}, young.id));
    const auto before = store_->events_since(network.tenant_id, 0, 100)->size();
    EXPECT_EQ(*store_->jobs().prune_events(network.tenant_id, clock_.now() - 24h), 3);
    EXPECT_EQ(store_->events_since(network.tenant_id, 0, 100)->size(), before - 3);
}

TEST_F(JobsTest, WhereNodesCanBeReachedIsForgottenBeforeTheRest) {
    const std::string acme = tenant("acme");
    const auto office = network(acme, "office", "10.1.0.0/24");
    const auto key = key_of(enrolled(enrolment(token(office), "anna")).node);
    const auto roam = [&](uint16_t port) {
        ASSERT_TRUE(store_->set_endpoints(key, {office.id, port, {}}));
    };
    roam(1);
    token(office);
    roam(2);
    const auto events = [&] { return store_->events_since(acme, 0, 100)->size(); };
    const auto all = events();
    clock_.advance(1h);
    EXPECT_EQ(*store_->jobs().prune_events(acme, clock_.now() - 24h), 0);
    clock_.advance(1ms);
    roam(3);
    EXPECT_EQ(*store_->jobs().prune_events(acme, clock_.now() - 24h), 2);
    EXPECT_EQ(*store_->jobs().prune_events(acme, clock_.now() - 24h), 0);
    EXPECT_EQ(events(), all - 1);
    EXPECT_EQ(store_->events_since(acme, 0, 100)->back().kind, EventKind::EndpointsChanged);
}

TEST_F(JobsTest, MapsAreWhatTheyWereWithoutTheEvents) {
    const std::string acme = tenant("acme");
    const auto office = network(acme, "office", "10.1.0.0/24");
    const auto lab = network(acme, "lab", "10.2.0.0/24");
    const auto anna = enrolled(enrolment(token(office), "anna"));
    const auto bert = enrolled(enrolment(token(office), "bert"));
    ASSERT_TRUE(store_->join(bert.node.id, {token(lab), base64(random_bytes(32)), 1, {}}));
    const auto joined = store_->tenant(acme)->revision;
    const auto carl = enrolled(enrolment(token(office), "carl"));
    ASSERT_TRUE(store_->expire_node(key_of(carl.node)));
    const auto removed = store_->tenant(acme)->revision;
    token(office);

    clock_.advance(1h);
    ASSERT_GT(*store_->jobs().prune_events(acme, clock_.now()), 10);
    ASSERT_TRUE(store_->events_since(acme, 0, 1)->empty());
    const auto inputs = store_->map_inputs(acme);
    EXPECT_EQ(inputs->removed_at, removed);
    std::map<std::string, Revision> came_in;
    for (const MapMember& member : inputs->members) came_in[member.node_name] = member.came_in_at;
    EXPECT_EQ(came_in,
              (std::map<std::string, Revision>{{"anna", anna.revision}, {"bert", joined}}));
}

}  // namespace
}  // namespace cvlan::store
