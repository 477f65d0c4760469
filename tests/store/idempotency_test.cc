// SPDX-License-Identifier: Apache-2.0
// One effect under one key, whoever comes first and whatever ends between.
#include "store/idempotency.h"

#include <atomic>
#include <thread>

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

struct IdempotencyTest : StoreTest {
    std::unique_ptr<Store> as(const std::string& request_id, const std::string& actor = "user:1") {
        Cause cause{actor, "192.0.2.1", request_id};
        cause.idempotency = IdempotencyKey{"key", "asked"};
        return store_->as(cause);
    }
    Result<model::Tenant> make(Store& store, const std::string& name) {
        return store.create_tenant({id(), name, {}});
    }
    size_t tenants() { return store_->tenants({})->items.size(); }
};

TEST_F(IdempotencyTest, AKeyIsSpentWithTheChangeAndItsAnswerKept) {
    auto first = as("request-1");
    EXPECT_FALSE(*first->idempotency().find("key"));
    ASSERT_TRUE(make(*first, "acme"));
    auto spent = *first->idempotency().find("key");
    ASSERT_TRUE(spent);
    EXPECT_EQ(spent->request_hash, "asked");
    EXPECT_EQ(spent->request_id, "request-1");
    EXPECT_EQ(spent->answer, "");
    ASSERT_TRUE(first->idempotency().keep_answer("key", "made"));
    first.reset();
    open();  // another start
    EXPECT_EQ((*as("request-2")->idempotency().find("key"))->answer, "made");
}

TEST_F(IdempotencyTest, WhoComesSecondChangesNothing) {
    ASSERT_TRUE(make(*as("request-1"), "acme"));
    const auto second = make(*as("request-2"), "other");
    EXPECT_FAILS(second, Code::Conflict, "came first");
    EXPECT_EQ(second.error().reason, kIdempotencyInProgress);
    EXPECT_EQ(tenants(), 1u);
    EXPECT_TRUE(make(*as("request-3", "user:2"), "theirs"));  // keys are each one's own
}

TEST_F(IdempotencyTest, ARequestMayChangeSeveralThings) {
    const auto view = as("request-1");
    ASSERT_TRUE(make(*view, "acme"));
    EXPECT_TRUE(make(*view, "other"));
}

TEST_F(IdempotencyTest, WhatFailedHasSpentNothing) {
    ASSERT_TRUE(make(*store_, "acme"));
    EXPECT_FAILS(make(*as("request-1"), "acme"), Code::Exists, "acme");
    EXPECT_FALSE(*as("request-1")->idempotency().find("key"));
    EXPECT_TRUE(make(*as("request-2"), "other"));
}

TEST_F(IdempotencyTest, AKeyIsForgottenAfterADay) {
    ASSERT_TRUE(make(*as("request-1"), "acme"));
    clock_.advance(std::chrono::hours(24) + std::chrono::milliseconds(1));
    EXPECT_FALSE(*as("request-2")->idempotency().find("key"));
    EXPECT_TRUE(make(*as("request-2"), "other"));
}

// Rows go in slices, and only those that nobody finds any more.
TEST_F(IdempotencyTest, WhatIsForgottenIsTakenAway) {
    ASSERT_TRUE(make(*as("request-1"), "acme"));
    clock_.advance(std::chrono::hours(24) + std::chrono::milliseconds(1));
    ASSERT_TRUE(make(*as("request-2", "user:2"), "other"));
    EXPECT_EQ(*store_->idempotency().prune(), 1);
    EXPECT_EQ(*store_->idempotency().prune(), 0);
    EXPECT_TRUE(*as("request-3", "user:2")->idempotency().find("key"));
}

// What was only tried has spent nothing.
TEST_F(IdempotencyTest, ATrialLeavesTheKeyUnspent) {
    Cause cause{"user:1", "192.0.2.1", "request-1"};
    cause.idempotency = IdempotencyKey{"key", "asked"};
    cause.validate_only = true;
    ASSERT_TRUE(make(*store_->as(cause), "acme"));
    EXPECT_FALSE(*as("request-2")->idempotency().find("key"));
    EXPECT_TRUE(make(*as("request-2"), "acme"));
}

TEST_F(IdempotencyTest, OfManyAtOnceOneHasItsEffect) {
    std::atomic<int> done = 0;
    std::vector<std::thread> callers;
    for (int i = 0; i < 8; ++i)
        callers.emplace_back([&, i] {
            if (make(*as(fmt::format("request-{}", i)), fmt::format("tenant-{}", i))) ++done;
        });
    for (auto& caller : callers) caller.join();
    EXPECT_EQ(done, 1);
    EXPECT_EQ(tenants(), 1u);
}

}  // namespace
}  // namespace cvlan::store
