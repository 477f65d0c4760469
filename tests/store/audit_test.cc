// SPDX-License-Identifier: Apache-2.0
// The audit: each change and each refusal is one row of a chain; who tampers with it is found.
#include "model/audit.h"

#include <thread>

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using model::AuditEntry;

struct AuditTest : StoreTest {
    std::string tenant_ = tenant("acme");
    model::Network network_ = network(tenant_, "office", "10.1.0.0/24");

    std::vector<AuditEntry> entries(const std::string& tenant_id) {
        auto page = store_->audit({.tenant_id = tenant_id, .page_size = 1000});
        EXPECT_TRUE(page) << page.error().message;
        return page->items;
    }
    // Of the tenant's chain; empty: whole.
    std::string fault() {
        auto verdicts = store_->verify_audit({});
        EXPECT_TRUE(verdicts) << verdicts.error().message;
        std::string found;
        for (const AuditVerdict& verdict : *verdicts)
            if (verdict.tenant_id == tenant_) found = verdict.fault;
        return found;
    }
    Refusal refusal(const std::string& tenant_id, const std::string& outcome) {
        return {tenant_id,   {"anonymous", "192.0.2.1", "r1"}, "POST /api/v1/enrol", "", outcome, 3,
                clock_.now()};
    }
    void rename(const std::string& name) {
        EXPECT_TRUE(store_->change_network({tenant_, network_.id}, {.name = name}));
    }
};

TEST_F(AuditTest, AChangeSaysWhatWasBeforeAndAfter) {
    rename("lab");
    const auto all = entries(tenant_);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].action, "TENANT_CREATED");
    EXPECT_EQ(all[1].action, "NETWORK_CREATED");
    EXPECT_EQ(all[1].before, "");
    const AuditEntry& renamed = all[2];
    EXPECT_EQ(renamed.sequence, 3);
    EXPECT_EQ(renamed.at, clock_.now());
    EXPECT_EQ(renamed.actor, "system");
    EXPECT_EQ(renamed.action, "NETWORK_RENAMED");
    EXPECT_EQ(renamed.object_kind, "network");
    EXPECT_EQ(renamed.object_id, network_.id);
    EXPECT_EQ(renamed.outcome, "OK");
    EXPECT_NE(renamed.before.find(R"("name":"office")"), std::string::npos) << renamed.before;
    EXPECT_NE(renamed.after.find(R"("name":"lab")"), std::string::npos) << renamed.after;
    EXPECT_EQ(renamed.previous_hash, all[1].hash);
}

TEST_F(AuditTest, AChangeSaysWhoAndFromWhereAndInWhichRequest) {
    const auto acting = store_->as({"user:7", "192.0.2.7", "request-9"});
    ASSERT_TRUE(acting->change_network({tenant_, network_.id}, {.name = "lab"}));
    rename("office");  // the store's own changes stay the system's
    const auto all = entries(tenant_);
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[2].actor, "user:7");
    EXPECT_EQ(all[2].source, "192.0.2.7");
    EXPECT_EQ(all[2].request_id, "request-9");
    EXPECT_EQ(all[3].actor, "system");
    EXPECT_EQ(all[3].request_id, "");
}

TEST_F(AuditTest, EveryEventHasItsEntryAndNoneHoldsASecret) {
    const auto claims = token(network_, 5);
    auto node = enrolled(enrolment(claims)).node;
    const Key key = key_of(node);
    ASSERT_TRUE(store_->update_node(key, {.name = "renamed"}));
    ASSERT_TRUE(store_->expire_node(key));
    ASSERT_TRUE(store_->revoke_node(key));
    ASSERT_TRUE(store_->delete_node(key));
    ASSERT_TRUE(store_->revoke_token({tenant_, claims.id}));
    ASSERT_TRUE(store_->delete_token({tenant_, claims.id}));
    ASSERT_TRUE(store_->delete_network({tenant_, network_.id}));
    ASSERT_TRUE(store_->delete_tenant(tenant_));
    const auto all = entries(tenant_);
    ASSERT_EQ(all.size(), events_.size());
    for (size_t i = 0; i < all.size(); ++i) {
        SCOPED_TRACE(all[i].action);
        EXPECT_EQ(all[i].object_id, events_[i].object_id);
        EXPECT_FALSE(all[i].object_kind.empty());
        const bool is_new = all[i].action.ends_with("_CREATED") || all[i].action == "NODE_ENROLLED";
        EXPECT_EQ(all[i].before.empty(), is_new);
        EXPECT_EQ(all[i].after.empty(), all[i].action.ends_with("_DELETED"));
        for (const std::string& secret :
             {hex(claims.nonce), base64(claims.nonce), model::nonce_hash(claims)})
            EXPECT_EQ((all[i].before + all[i].after).find(secret), std::string::npos);
    }
    EXPECT_EQ(fault(), "");
}

// Ten thousand nodes that roam would bury what people did.
TEST_F(AuditTest, ANodeThatMovesIsAnEventAndNoEntry) {
    const Key key = key_of(enrolled(enrolment(token(network_, 1))).node);
    const size_t before = entries(tenant_).size();
    ASSERT_TRUE(store_->set_endpoints(key, {network_.id, 1, {*Endpoint::parse("192.0.2.1:1")}}));
    EXPECT_EQ(events_.back().kind, EventKind::EndpointsChanged);
    EXPECT_EQ(entries(tenant_).size(), before);
    EXPECT_EQ(fault(), "");
}

TEST_F(AuditTest, ATenantsVerdictIsOfItsChainAlone) {
    const std::string other = tenant("other");
    const auto verdicts = store_->verify_audit(tenant_);
    ASSERT_TRUE(verdicts);
    ASSERT_EQ(verdicts->size(), 1u);
    EXPECT_EQ(verdicts->front().tenant_id, tenant_);
    EXPECT_EQ(store_->verify_audit({})->size(), 2u);
}

TEST_F(AuditTest, WhatFailsLeavesNoEntry) {
    EXPECT_FALSE(try_network(tenant_, "other", "10.1.0.0/25"));
    EXPECT_EQ(entries(tenant_).size(), 2U);
}

TEST_F(AuditTest, RefusalsGoIntoTheChainsOfTheirTenants) {
    ASSERT_TRUE(
        store_->record_refusals({refusal("", "TOKEN_INVALID"), refusal(tenant_, "TOKEN_SPENT"),
                                 refusal("", "UNAUTHENTICATED")}));
    const auto own = entries("");
    ASSERT_EQ(own.size(), 2U);
    EXPECT_EQ(own[0].outcome, "TOKEN_INVALID");
    EXPECT_EQ(own[0].count, 3);
    EXPECT_EQ(own[0].actor, "anonymous");
    EXPECT_EQ(own[0].source, "192.0.2.1");
    EXPECT_EQ(own[1].previous_hash, own[0].hash);
    EXPECT_EQ(entries(tenant_).back().outcome, "TOKEN_SPENT");
    EXPECT_EQ(fault(), "");
}

// More than one statement takes, and what would end a text in a list of others.
TEST_F(AuditTest, ManyAtOnceAreEachWhatTheyWere) {
    std::vector<Refusal> refusals;
    for (int i = 0; i < 600; ++i) {
        refusals.push_back(refusal("", i % 2 == 0 ? R"(NULL,"\\ {}')" : ""));
        refusals.back().object_id = fmt::format("größe {}", i);
        refusals.back().count = i % 3 == 0 ? -i : int64_t{1} << 40;
    }
    ASSERT_TRUE(store_->record_refusals(refusals));
    const auto own = entries("");
    ASSERT_EQ(own.size(), refusals.size());
    for (size_t i = 0; i < own.size(); ++i) {
        EXPECT_EQ(own[i].outcome, refusals[i].outcome);
        EXPECT_EQ(own[i].object_id, refusals[i].object_id);
        EXPECT_EQ(own[i].count, refusals[i].count);
    }
    const auto verdicts = store_->verify_audit({});
    ASSERT_TRUE(verdicts);
    for (const AuditVerdict& verdict : *verdicts) EXPECT_EQ(verdict.fault, "");
}

TEST_F(AuditTest, FiltersAndPages) {
    for (int i = 0; i < 3; ++i) {
        clock_.advance(std::chrono::hours(1));
        rename(fmt::format("n{}", i));
    }
    AuditFilter filter{.tenant_id = tenant_, .action = "NETWORK_RENAMED", .page_size = 2};
    auto first = store_->audit(filter);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->items.size(), 2U);
    EXPECT_EQ(first->head.sequence, 5);
    filter.page_token = first->next_page_token;
    auto rest = store_->audit(filter);
    ASSERT_TRUE(rest);
    ASSERT_EQ(rest->items.size(), 1U);
    EXPECT_EQ(rest->items[0].sequence, 5);
    EXPECT_EQ(rest->next_page_token, "");
    const auto count = [&](const AuditFilter& wanted) {
        return store_->audit(wanted)->items.size();
    };
    EXPECT_EQ(count({.tenant_id = tenant_, .object_id = tenant_}), 1U);
    EXPECT_EQ(count({.tenant_id = tenant_, .actor = "user:nobody"}), 0U);
    EXPECT_EQ(count({.tenant_id = tenant_, .since = clock_.now()}), 1U);
    EXPECT_EQ(count({.tenant_id = tenant_, .until = clock_.now()}), 4U);
    EXPECT_EQ(count({.tenant_id = id()}), 0U);
    EXPECT_FAILS(store_->audit({.tenant_id = tenant_, .page_token = "1x"}), Code::Invalid, "token");
}

struct Tampering {
    const char* what;
    const char* sql;
    const char* fault;
};
const Tampering kTamperings[] = {
    {"a word of a row", "UPDATE audit SET actor = 'nobody' WHERE sequence = 3",
     "entry 3 was changed"},
    {"what it was before", "UPDATE audit SET before_json = '{}' WHERE sequence = 3",
     "entry 3 was changed"},
    {"its hash too", "UPDATE audit SET hash = 'ff' WHERE sequence = 3", "entry 3 was changed"},
    {"the first", "DELETE FROM audit WHERE sequence = 1", "entry 1 is missing"},
    {"one in the middle", "DELETE FROM audit WHERE sequence = 3", "entry 3 is missing"},
    {"the last", "DELETE FROM audit WHERE sequence = 5", "entry 5 is missing"},
    {"all", "DELETE FROM audit", "entry 1 is missing"},
    {"the last and its place in the head",
     "DELETE FROM audit WHERE sequence = 5; UPDATE audit_heads SET sequence = 4",
     "entry 4 is not the one that was written"},
    {"the head", "DELETE FROM audit_heads", "is not the one that was written"},
    {"the first, as if by retention",
     "UPDATE audit_heads SET pruned_sequence = 1, pruned_hash = (SELECT hash FROM audit WHERE "
     "sequence = 1); DELETE FROM audit WHERE sequence = 1",
     "retention did not take it"},
};

TEST_F(AuditTest, EachTamperingIsFound) {
    for (const char* name : {"a", "b", "c"}) rename(name);
    for (const Tampering& tampering : kTamperings) {
        SCOPED_TRACE(tampering.what);
        EXPECT_EQ(fault(), "");
        const auto db = place_.database();
        ASSERT_TRUE(
            db->run_script("CREATE TABLE saved_audit AS SELECT * FROM audit;"
                           "CREATE TABLE saved_heads AS SELECT * FROM audit_heads;"));
        ASSERT_TRUE(db->run_script(tampering.sql));
        EXPECT_NE(fault().find(tampering.fault), std::string::npos) << fault();
        ASSERT_TRUE(
            db->run_script("DELETE FROM audit; INSERT INTO audit SELECT * FROM saved_audit;"
                           "DELETE FROM audit_heads;"
                           "INSERT INTO audit_heads SELECT * FROM saved_heads;"
                           "DROP TABLE saved_audit; DROP TABLE saved_heads;"));
    }
}

TEST_F(AuditTest, RetentionTakesTheOldestAndTheChainHoldsOn) {
    clock_.advance(std::chrono::hours(24));
    rename("young");
    auto gone = store_->prune_audit(tenant_, clock_.now());
    ASSERT_TRUE(gone) << gone.error().message;
    EXPECT_EQ(*gone, 2);
    const auto left = entries(tenant_);
    ASSERT_EQ(left.size(), 2U);
    EXPECT_EQ(left[0].sequence, 3);
    EXPECT_EQ(left[1].action, model::kAuditPruned);
    EXPECT_EQ(left[1].count, 2);
    EXPECT_EQ(left[1].after,
              fmt::format(R"({{"throughSequence":"2","hash":"{}"}})", left[0].previous_hash));
    EXPECT_EQ(fault(), "");
    EXPECT_EQ(*store_->prune_audit(tenant_, clock_.now()), 0);
    clock_.advance(std::chrono::hours(24));
    EXPECT_EQ(*store_->prune_audit(tenant_, clock_.now()), 2);
    EXPECT_EQ(entries(tenant_).size(), 1U);
    EXPECT_EQ(fault(), "");
}

// A writer waits for one slice of it, never for a year.
TEST_F(AuditTest, RetentionTakesAThousandAtATime) {
    std::vector<Refusal> many;
    for (int i = 0; i < 1500; ++i) many.push_back(refusal(tenant_, fmt::format("NO_{}", i)));
    ASSERT_TRUE(store_->record_refusals(many));
    const auto later = clock_.now() + std::chrono::hours(1);
    EXPECT_EQ(*store_->prune_audit(tenant_, later), 1000);
    EXPECT_GE(*store_->prune_audit(tenant_, later), 500);
    EXPECT_EQ(fault(), "");
}

// What retention takes while the chain is read is no tampering, however often it does.
TEST_F(AuditTest, IsWholeWhileRetentionCutsIt) {
    std::atomic<bool> is_done = false;
    std::thread retention([&] {
        for (int i = 0; i < 60; ++i) {
            rename(fmt::format("n{}", i));
            EXPECT_TRUE(store_->prune_audit(tenant_, clock_.now() + std::chrono::hours(1)));
        }
        is_done = true;
    });
    while (!is_done) EXPECT_EQ(fault(), "");
    retention.join();
    EXPECT_EQ(fault(), "");
}

TEST_F(AuditTest, WhatCanNotBeAuditedIsNotDone) {
    ASSERT_TRUE(place_.database()->run_script("ALTER TABLE audit RENAME TO lost"));
    const auto refused = store_->change_network({tenant_, network_.id}, {.name = "lab"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Unavailable);
    EXPECT_EQ(refused.error().reason, "AUDIT_UNAVAILABLE");
    EXPECT_EQ(store_->network(tenant_, network_.id)->name, "office");
    EXPECT_FALSE(store_->record_refusals({refusal("", "DENIED")}));
    EXPECT_TRUE(events_.empty() || events_.back().kind == EventKind::NetworkCreated);
}

// Any field, moved by a byte into its neighbour, makes another hash.
TEST(AuditHash, CoversEveryFieldAndItsBorders) {
    AuditEntry entry;
    entry.actor = "ab";
    entry.source = "c";
    const std::string hash = model::audit_hash(entry);
    AuditEntry moved = entry;
    moved.actor = "a";
    moved.source = "bc";
    EXPECT_NE(model::audit_hash(moved), hash);
    const auto differs = [&](auto change) {
        AuditEntry other = entry;
        change(other);
        return model::audit_hash(other) != hash;
    };
    for (std::string AuditEntry::*field :
         {&AuditEntry::tenant_id, &AuditEntry::actor, &AuditEntry::source, &AuditEntry::request_id,
          &AuditEntry::action, &AuditEntry::object_kind, &AuditEntry::object_id,
          &AuditEntry::outcome, &AuditEntry::before, &AuditEntry::after,
          &AuditEntry::previous_hash})
        EXPECT_TRUE(differs([&](AuditEntry& other) { other.*field += "x"; }));
    EXPECT_TRUE(differs([](AuditEntry& other) { other.sequence = 9; }));
    EXPECT_TRUE(differs([](AuditEntry& other) { other.count = 2; }));
    EXPECT_TRUE(differs([](AuditEntry& other) { other.at += std::chrono::milliseconds(1); }));
    EXPECT_FALSE(differs([](AuditEntry& other) { other.hash = "any"; }));
}

}  // namespace
}  // namespace cvlan::store
