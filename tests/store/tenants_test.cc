// SPDX-License-Identifier: Apache-2.0
// Limits, suspension and usage of tenants, and what holds for every change: If-Match, trying alone.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

struct TenantsTest : StoreTest {
    std::string acme = tenant("acme");

    void limit(const model::Quotas& quotas) {
        auto set = store_->update_tenant(acme, {.quotas = quotas});
        ASSERT_TRUE(set) << set.error().message;
    }
};

TEST_F(TenantsTest, AQuotaRefusesTheOneTooManyAndLeavesNothingOfIt) {
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    const auto first = enrolled(enrolment(token(office), "a"));
    const auto claims = token(office);
    limit({.networks = 1, .nodes = 1, .tokens = 2});
    const int64_t before = store_->tenant(acme)->revision;
    auto refused = try_network(acme, "lab", "10.1.0.0/24");
    EXPECT_FAILS(refused, Code::Conflict, "quota of networks exceeded: 1/1");
    EXPECT_EQ(refused.error().reason, kQuotaExceeded);
    EXPECT_FAILS(enrol(enrolment(claims, "b")), Code::Conflict, "quota of nodes");
    EXPECT_EQ(store_->token(acme, claims.id)->uses_left, 1) << "a refused enrolment spends nothing";
    model::TokenClaims third = claims;
    third.id = id();
    EXPECT_FAILS(store_->create_token(third, {}), Code::Conflict, "quota of tokens");
    EXPECT_EQ(store_->tenant(acme)->revision, before);
    ASSERT_TRUE(store_->delete_node(key_of(first.node)));
    EXPECT_TRUE(enrol(enrolment(claims, "b")));
}

TEST_F(TenantsTest, QuotasAreTheTenantsOwn) {
    limit({.networks = 0});
    const std::string other = tenant("other");
    EXPECT_TRUE(try_network(other, "office", "10.0.0.0/24"));
    EXPECT_FALSE(try_network(acme, "office", "10.0.0.0/24"));
    limit({});
    EXPECT_TRUE(try_network(acme, "office", "10.0.0.0/24"));
}

TEST_F(TenantsTest, AccountsHaveAQuotaToo) {
    limit({.users = 1});
    const auto user = [&](const std::string& name) {
        return store_->accounts().create(
            {}, {acme, model::AccountKind::User, name, model::TenantRole::Member, {}});
    };
    EXPECT_TRUE(user("anna@example.com"));
    EXPECT_FAILS(user("bert@example.com"), Code::Conflict, "quota of accounts exceeded: 1/1");
    EXPECT_EQ(store_->usage(acme)->users, 1);
}

TEST_F(TenantsTest, UsageCountsWhatTheTenantHas) {
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    const auto one = enrolled(enrolment(token(office), "a"));
    enrolled(enrolment(token(office), "b"));
    ASSERT_TRUE(store_->expire_node(key_of(one.node)));
    network(tenant("other"), "office", "10.0.0.0/24");
    auto usage = store_->usage(acme);
    ASSERT_TRUE(usage);
    EXPECT_EQ(usage->networks, 1);
    EXPECT_EQ(usage->tokens, 2);
    EXPECT_EQ(usage->nodes[model::NodeState::Active], 1);
    EXPECT_EQ(usage->nodes[model::NodeState::Expired], 1);
    EXPECT_FAILS(store_->usage(id()), Code::NotFound, "not found");
}

TEST_F(TenantsTest, NothingEnrolsInASuspendedTenant) {
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    const auto claims = token(office);
    EXPECT_TRUE(store_->update_tenant(acme, {.suspended = true})->suspended);
    EXPECT_EQ(events_.back().kind, EventKind::TenantSuspended);
    auto refused = enrol(enrolment(claims));
    EXPECT_FAILS(refused, Code::Denied, "suspended");
    EXPECT_EQ(refused.error().reason, kTenantSuspended);
    EXPECT_FAILS(store_->create_external({acme, "phone", office.id, base64(random_bytes(32)), {}}),
                 Code::Denied, "suspended");
    EXPECT_EQ(store_->tenants({.suspended = true})->items.size(), 1u);
    EXPECT_TRUE(store_->tenants({.suspended = false})->items.empty());
    EXPECT_FALSE(store_->update_tenant(acme, {.suspended = false})->suspended);
    EXPECT_EQ(events_.back().kind, EventKind::TenantResumed);
    EXPECT_TRUE(enrol(enrolment(claims)));
}

TEST_F(TenantsTest, AChangeThatExpectsAnotherRevisionIsRefused) {
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    const auto claims = token(office);
    const model::Node node = enrolled(enrolment(token(office))).node;
    const auto stale = store_->as({.actor = "operator:0", .expected = 1'000'000});
    const auto expect_mismatch = [](const auto& result) {
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().reason, kRevisionMismatch) << result.error().message;
    };
    const int64_t before = store_->tenant(acme)->revision;
    expect_mismatch(stale->update_tenant(acme, {.name = "new"}));
    expect_mismatch(stale->delete_tenant(acme));
    expect_mismatch(stale->change_network({acme, office.id}, {.name = "new"}));
    expect_mismatch(stale->delete_network({acme, office.id}));
    expect_mismatch(stale->revoke_token({acme, claims.id}));
    expect_mismatch(stale->delete_token({acme, claims.id}));
    expect_mismatch(stale->update_node(key_of(node), {.name = "new"}));
    expect_mismatch(stale->approve_node(key_of(node)));
    expect_mismatch(stale->expire_node(key_of(node)));
    expect_mismatch(stale->revoke_node(key_of(node)));
    expect_mismatch(stale->delete_node(key_of(node)));
    EXPECT_EQ(store_->tenant(acme)->revision, before);

    const auto current = store_->as({.actor = "operator:0", .expected = office.revision});
    const auto renamed = current->change_network({acme, office.id}, {.name = "new"});
    ASSERT_TRUE(renamed) << renamed.error().message;
    EXPECT_GT(renamed->revision, office.revision);
    expect_mismatch(current->change_network({acme, office.id}, {.name = "newer"}));
}

// What else happens in a tenant is no change of its own fields.
TEST_F(TenantsTest, ATenantIsNotChangedByWhatIsMadeInIt) {
    const int64_t own = store_->tenant(acme)->own_revision;
    network(acme, "office", "10.0.0.0/24");
    EXPECT_EQ(store_->tenant(acme)->own_revision, own);
    EXPECT_GT(store_->update_tenant(acme, {.description = "ours"})->own_revision, own);
    EXPECT_EQ(events_.back().kind, EventKind::TenantChanged);
    EXPECT_FAILS(store_->update_tenant(acme, {.description = std::string(1025, 'x')}),
                 Code::Invalid, "description");
}

TEST_F(TenantsTest, WhatIsOnlyTriedIsAnsweredAndLeavesNothing) {
    const auto trying = store_->as({.actor = "operator:0", .validate_only = true});
    const size_t told = events_.size();
    const auto audited = store_->audit({.tenant_id = acme})->items.size();
    const auto made = trying->create_network({acme, "office", *Prefix::parse("10.0.0.0/24"), {}});
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->name, "office");
    EXPECT_FAILS(store_->network(acme, made->id), Code::NotFound, "not found");
    ASSERT_TRUE(trying->delete_tenant(acme));
    EXPECT_TRUE(store_->tenant(acme));
    EXPECT_EQ(events_.size(), told);
    EXPECT_EQ(store_->audit({.tenant_id = acme})->items.size(), audited);
    // What would be refused is.
    EXPECT_FAILS(trying->create_network({acme, "Office", *Prefix::parse("10.0.0.0/24"), {}}),
                 Code::Invalid, "name");
    EXPECT_TRUE(try_network(acme, "office", "10.0.0.0/24"));
}

TEST_F(TenantsTest, ListsInTheOrderThatIsAskedFor) {
    for (const char* name : {"delta", "bravo", "charlie"}) {
        clock_.advance(std::chrono::milliseconds(1));  // ids of one millisecond have no order
        network(acme, name, fmt::format("10.{}.0.0/24", int{name[0]}));
    }
    const auto names = [&](Filter filter) {
        std::string all;
        filter.tenant = acme;
        filter.page_size = 1;
        do {
            const auto page = store_->networks(filter);
            if (!page) return page.error().message;
            for (const auto& item : page->items) all += item.name.substr(0, 1);
            filter.page_token = page->next_page_token;
        } while (!filter.page_token.empty());
        return all;
    };
    EXPECT_EQ(names({}), "dbc");
    EXPECT_EQ(names({.descending = true}), "cbd");
    EXPECT_EQ(names({.order_by = OrderBy::Name}), "bcd");
    EXPECT_EQ(names({.order_by = OrderBy::Name, .descending = true}), "dcb");
}

// Neither skipped nor shown twice.
TEST_F(TenantsTest, APageGoesOnWhereTheLastEndedWhateverWasDeletedMeanwhile) {
    for (const char* name : {"alpha", "bravo", "charlie"})
        network(acme, name, fmt::format("10.{}.0.0/24", int{name[0]}));
    Filter filter{.tenant = acme, .order_by = OrderBy::Name, .page_size = 2};
    const auto first = store_->networks(filter);
    ASSERT_TRUE(store_->delete_network({acme, first->items[1].id}));
    filter.page_token = first->next_page_token;
    const auto rest = store_->networks(filter);
    ASSERT_TRUE(rest) << rest.error().message;
    ASSERT_EQ(rest->items.size(), 1u);
    EXPECT_EQ(rest->items[0].name, "charlie");
    filter.order_by = OrderBy::CreatedAt;
    EXPECT_FAILS(store_->networks(filter), Code::Invalid, "another order");
}

TEST_F(TenantsTest, TokensAreFoundByTheirState) {
    using model::TokenState;
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    const auto count = [&](TokenState state) {
        return store_->tokens({.tenant = acme, .token_state = state})->items.size();
    };
    const auto spent = token(office);
    enrolled(enrolment(spent));
    const auto revoked = token(office);
    ASSERT_TRUE(store_->revoke_token({acme, revoked.id}));
    token(office, 1, std::chrono::hours(1));
    token(office, 1, std::chrono::hours(48));
    EXPECT_EQ(count(TokenState::Usable), 2u);
    clock_.advance(std::chrono::hours(2));
    EXPECT_EQ(count(TokenState::Usable), 1u);
    EXPECT_EQ(count(TokenState::Expired), 1u);
    EXPECT_EQ(count(TokenState::Spent), 1u);
    EXPECT_EQ(count(TokenState::Revoked), 1u);
}

}  // namespace
}  // namespace cvlan::store
