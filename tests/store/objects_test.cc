// SPDX-License-Identifier: Apache-2.0
// Tenants, networks and tokens.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

TEST_F(StoreTest, KeepsATenantAcrossAReopen) {
    const std::string acme = tenant("acme");
    const int64_t epoch = store_->epoch();
    clock_.advance(std::chrono::hours(1));
    open();
    EXPECT_EQ(store_->epoch(), epoch);
    EXPECT_EQ(store_->tenant(acme)->name, "acme");
    EXPECT_EQ(store_->tenant(acme)->revision, 1);
}

TEST_F(StoreTest, NamesOfTenantsAreUnique) {
    const std::string acme = tenant("acme");
    EXPECT_FAILS(store_->create_tenant({id(), "acme", {}}), Code::Exists, "'acme' is taken");
    EXPECT_FAILS(store_->create_tenant({id(), "Acme", {}}), Code::Invalid, "Acme");
    EXPECT_FAILS(store_->create_tenant({"x", "other", {}}), Code::Invalid, "UUID");
    const std::string other = tenant("other");
    EXPECT_FAILS(store_->update_tenant(other, {.name = "acme"}), Code::Exists, "taken");
    EXPECT_EQ(store_->update_tenant(other, {.name = "third"})->name, "third");
    EXPECT_FAILS(store_->update_tenant(id(), {.name = "fourth"}), Code::NotFound, "not found");
}

TEST_F(StoreTest, DeletesAnEmptyTenantOnly) {
    const std::string acme = tenant("acme");
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    EXPECT_FAILS(store_->delete_tenant(acme), Code::Conflict, "1 networks");
    ASSERT_TRUE(store_->delete_network({acme, office.id}));
    ASSERT_TRUE(store_->delete_tenant(acme));
    EXPECT_FAILS(store_->tenant(acme), Code::NotFound, "not found");
    EXPECT_FAILS(store_->delete_tenant(acme), Code::NotFound, "not found");
}

TEST_F(StoreTest, CountsTheRevisionOfEachTenantByItself) {
    const std::string acme = tenant("acme");
    const std::string other = tenant("other");
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    EXPECT_EQ(office.revision, 2);
    EXPECT_EQ(store_->tenant(acme)->revision, 2);
    EXPECT_EQ(store_->tenant(other)->revision, 1);
    // What failed leaves no event and no gap.
    EXPECT_FALSE(try_network(acme, "office", "10.1.0.0/24"));
    EXPECT_EQ(store_->tenant(acme)->revision, 2);
    ASSERT_EQ(events_.size(), 3u);
    EXPECT_EQ(events_.back().kind, EventKind::NetworkCreated);
    EXPECT_EQ(events_.back().object_id, office.id);
    EXPECT_EQ(events_.back().network_ids, std::vector{office.id});
}

TEST_F(StoreTest, FindsAnObjectInItsOwnTenantOnly) {
    const std::string acme = tenant("acme");
    const std::string other = tenant("other");
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    EXPECT_TRUE(store_->network({}, office.id));
    EXPECT_TRUE(store_->network(acme, office.id));
    EXPECT_FAILS(store_->network(other, office.id), Code::NotFound, "not found");
    EXPECT_FAILS(store_->delete_network({other, office.id}), Code::NotFound, "not found");
    const model::TokenClaims claims = token(office);
    EXPECT_FAILS(store_->revoke_token({other, claims.id}), Code::NotFound, "not found");
    const model::Node node = enrolled(enrolment(claims)).node;
    EXPECT_FAILS(store_->revoke_node({other, node.id}), Code::NotFound, "not found");
    EXPECT_FAILS(store_->delete_node({other, node.id}), Code::NotFound, "not found");
    EXPECT_FAILS(store_->node(other, node.id), Code::NotFound, "not found");
}

// F27.
TEST_F(StoreTest, RefusesOverlapWithinATenantAndNamesTheNetwork) {
    const std::string acme = tenant("acme");
    network(acme, "office", "10.100.0.0/16", "fd00:1::/64");
    network(acme, "low", "10.1.0.0/24");
    for (const char* prefix : {"10.100.0.0/16", "10.100.7.0/24", "10.0.0.0/8", "10.100.255.255/32"})
        EXPECT_FAILS(try_network(acme, "second", prefix), Code::Conflict, "'office'");
    EXPECT_FAILS(try_network(acme, "second", "", "fd00:1::/48"), Code::Conflict, "'office'");
    EXPECT_TRUE(try_network(acme, "second", "10.101.0.0/16", "fd00:2::/64"));
    EXPECT_TRUE(try_network(tenant("other"), "office", "10.100.0.0/16", "fd00:1::/64"));
}

TEST_F(StoreTest, RefusesPrefixesThatNoNodeCanLiveIn) {
    const std::string acme = tenant("acme");
    for (const char* prefix : {"0.0.0.0/0", "127.0.0.0/16", "169.254.7.0/24", "224.0.0.0/8",
                               "240.0.0.0/24", "0.1.0.0/16"})
        EXPECT_FAILS(try_network(acme, "bad", prefix), Code::Invalid, "ipv4");
    for (const char* prefix :
         {"::/0", "::/64", "::1/128", "::ffff:10.0.0.0/120", "fe80::/64", "ff02::/64", "fd00::/16"})
        EXPECT_FAILS(try_network(acme, "bad", "", prefix), Code::Invalid, "ipv6");
    EXPECT_FAILS(try_network(acme, "bad", "fd00::/64"), Code::Invalid, "family");
    EXPECT_FAILS(try_network(acme, "bad", ""), Code::Invalid, "needs");
    NewNetwork small{acme, "bad", *Prefix::parse("10.0.0.0/24"), {}, false, 576};
    EXPECT_FAILS(store_->create_network(small), Code::Invalid, "mtu");
    EXPECT_FAILS(try_network(id(), "office", "10.0.0.0/24"), Code::NotFound, "tenant");
}

TEST_F(StoreTest, ChoosesALocalPrefixOfIpv6) {
    const std::string acme = tenant("acme");
    const model::Network one = network(acme, "one", "", "auto");
    const model::Network two = network(acme, "two", "", "auto");
    ASSERT_TRUE(one.ipv6 && two.ipv6);
    EXPECT_EQ(one.ipv6->length(), 64);
    EXPECT_EQ(one.ipv6->address().bytes()[0], 0xfd);
    EXPECT_NE(*one.ipv6, *two.ipv6);
}

TEST_F(StoreTest, DeletesANetworkWithoutNodesOnly) {
    const std::string acme = tenant("acme");
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    const model::TokenClaims spare = token(office);
    const Enrolled node = enrolled(enrolment(token(office)));
    EXPECT_EQ(store_->network(acme, office.id)->node_count, 1);
    EXPECT_FAILS(store_->delete_network({acme, office.id}), Code::Conflict, "still has 1 nodes");
    ASSERT_TRUE(store_->delete_node(key_of(node.node)));
    ASSERT_TRUE(store_->delete_network({acme, office.id}));
    // Its tokens went with it.
    EXPECT_FAILS(store_->token(acme, spare.id), Code::NotFound, "not found");
}

TEST_F(StoreTest, KeepsTheHashOfATokenAlone) {
    const std::string acme = tenant("acme");
    const model::TokenClaims claims = token(network(acme, "office", "10.0.0.0/24"), 3);
    const auto kept = store_->token(acme, claims.id);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->nonce_hash, hex(sha256(claims.nonce)));
    EXPECT_EQ(kept->uses_left, 3);
    EXPECT_EQ(kept->expires_at, claims.expires_at);
    EXPECT_FALSE(kept->revoked);
    EXPECT_TRUE(store_->revoke_token({acme, claims.id})->revoked);
    EXPECT_TRUE(store_->revoke_token({acme, claims.id})->revoked);
    ASSERT_TRUE(store_->delete_token({acme, claims.id}));
    EXPECT_FAILS(store_->delete_token({acme, claims.id}), Code::NotFound, "not found");
    model::TokenClaims late = claims;
    late.id = id();
    late.expires_at = clock_.now();
    EXPECT_FAILS(store_->create_token(late, {}), Code::Invalid, "past");
    late.uses = 0;
    EXPECT_FAILS(store_->create_token(late, {}), Code::Invalid, "uses");
}

TEST_F(StoreTest, ListsByPages) {
    const std::string acme = tenant("acme");
    tenant("other");
    for (int i = 0; i < 5; ++i)
        network(acme, fmt::format("n{}", i), fmt::format("10.{}.0.0/16", i));
    Filter filter{.tenant = acme, .page_size = 2};
    std::vector<std::string> names;
    do {
        const auto page = store_->networks(filter);
        ASSERT_TRUE(page) << page.error().message;
        EXPECT_LE(page->items.size(), 2u);
        for (const auto& network : page->items) names.push_back(network.name);
        filter.page_token = page->next_page_token;
    } while (!filter.page_token.empty());
    EXPECT_EQ(names.size(), 5u);
    EXPECT_EQ(store_->networks({.tenant = acme, .name = "n3"})->items.front().name, "n3");
    EXPECT_TRUE(store_->networks({.tenant = id()})->items.empty());
    EXPECT_EQ(store_->tenants({})->items.size(), 2u);
    EXPECT_EQ(store_->tenants({.tenant = acme})->items.size(), 1u);
    EXPECT_EQ(store_->tenants({.name = "other"})->items.size(), 1u);
    for (const int size : {0, -1, 1001})
        EXPECT_FAILS(store_->networks({.page_size = size}), Code::Invalid, "page size");
    EXPECT_FAILS(store_->nodes({.page_token = "' OR 1=1 --"}), Code::Invalid, "page token");
}

TEST_F(StoreTest, ListsTheNodesAndTokensOfANetwork) {
    const std::string acme = tenant("acme");
    const model::Network one = network(acme, "one", "10.1.0.0/24");
    const model::Network two = network(acme, "two", "10.2.0.0/24");
    enrolled(enrolment(token(one), "a"));
    const model::Node b = enrolled(enrolment(token(two), "b")).node;
    for (const Scope& scope : {Scope(acme), Scope()}) {
        const auto nodes = store_->nodes({.tenant = scope, .network_id = two.id});
        ASSERT_EQ(nodes->items.size(), 1u);
        EXPECT_EQ(nodes->items.front().id, b.id);
        EXPECT_EQ(nodes->items.front().memberships.size(), 1u);
        EXPECT_EQ(store_->tokens({.tenant = scope, .network_id = two.id})->items.size(), 1u);
        EXPECT_EQ(store_->nodes({.tenant = scope, .name = "b"})->items.size(), 1u);
        EXPECT_EQ(store_->nodes({.tenant = scope})->items.size(), 2u);
    }
    EXPECT_TRUE(store_->nodes({.network_id = id()})->items.empty());
}

// F14: what a node tells is stored as it came.
TEST_F(StoreTest, StoresTextOfAnyKindVerbatim) {
    const std::string acme = tenant("acme");
    const Enrolled node = enrolled(enrolment(token(network(acme, "office", "10.0.0.0/24"))));
    const char* const corpus[] = {"'; DROP TABLE nodes; --",
                                  "\" OR \"\"=\"",
                                  "%_\\%",
                                  "a\nb\tc",
                                  "x') UNION SELECT * FROM tokens --",
                                  "\xF0\x9F\x92\xA9 \xE2\x80\xAE"};
    for (const char* text : corpus) {
        const model::Inventory told{text, text, text, text, text, {text, "00:11"}};
        ASSERT_TRUE(store_->set_inventory(key_of(node.node), told));
        const model::Inventory kept = store_->node(acme, node.node.id)->inventory;
        EXPECT_EQ(kept.hostname, text);
        EXPECT_EQ(kept.agent_version, text);
        EXPECT_EQ(kept.mac_addresses, told.mac_addresses);
        EXPECT_TRUE(store_->nodes({.tenant = acme, .name = text})->items.empty());
        EXPECT_FAILS(store_->node(acme, text), Code::NotFound, "not found");
        EXPECT_FAILS(store_->update_node(key_of(node.node), {.name = text}), Code::Invalid, "name");
    }
    EXPECT_FAILS(store_->set_inventory({acme, id()}, {}), Code::NotFound, "not found");
}

TEST_F(StoreTest, GivesTheEventsSinceARevision) {
    const std::string acme = tenant("acme");
    const model::Network office = network(acme, "office", "10.0.0.0/24");
    enrolled(enrolment(token(office)));
    const auto all = store_->events_since(acme, 0, 100);
    ASSERT_EQ(all->size(), 4u);
    EXPECT_EQ(all->front().kind, EventKind::TenantCreated);
    EXPECT_EQ(all->back().kind, EventKind::NodeEnrolled);
    EXPECT_EQ(all->back().network_ids, std::vector{office.id});
    EXPECT_EQ(store_->events_since(acme, 3, 100)->size(), 1u);
    EXPECT_EQ(store_->events_since(acme, 0, 2)->size(), 2u);
    ASSERT_EQ(events_.size(), all->size());
    for (size_t i = 0; i < events_.size(); ++i) EXPECT_EQ(events_[i].revision, (*all)[i].revision);
}

TEST_F(StoreTest, TellsAListenerThatReadsAndWrites) {
    const std::string acme = tenant("acme");
    std::vector<EventKind> seen;
    store_->on_event([&](const Event& event) {
        seen.push_back(event.kind);
        EXPECT_GE(store_->tenant(acme)->revision, event.revision);
        if (event.kind != EventKind::NetworkCreated) return;
        EXPECT_TRUE(store_->update_tenant(acme, {.name = "renamed"}));
    });
    network(acme, "office", "10.0.0.0/24");
    EXPECT_EQ(seen, (std::vector{EventKind::NetworkCreated, EventKind::TenantRenamed}));
}

}  // namespace
}  // namespace cvlan::store
