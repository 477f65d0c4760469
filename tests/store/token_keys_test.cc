// SPDX-License-Identifier: Apache-2.0
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using std::chrono::hours;

class TokenKeysTest : public StoreTest {
protected:
    std::string acme_ = tenant("acme");
    model::Network office_ = network(acme_, "office", "10.100.0.0/24");
    model::TokenKey key_ = make("field", "0123456789abcdef");

    Result<model::TokenKey> try_make(const std::string& name, const std::string& kid) {
        return store_->create_token_key({acme_, {}, name, kid, "cHVi", {}});
    }
    model::TokenKey make(const std::string& name, const std::string& kid) {
        auto made = try_make(name, kid);
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }
    // No row of it is in the store.
    model::TokenClaims offline(int64_t uses = 1, hours life = hours(24)) {
        model::TokenClaims claims;
        claims.kid = key_.kid;
        claims.id = id();
        claims.tenant_id = acme_;
        claims.network_id = office_.id;
        claims.expires_at = clock_.now() + life;
        claims.uses = uses;
        claims.nonce = random_bytes(32);
        return claims;
    }
};

TEST_F(TokenKeysTest, ATokenMadeOfflineGetsItsRowWhenItIsUsedAndIsSpentLikeAnyOther) {
    const auto claims = offline(2);
    EXPECT_FAILS(store_->token(acme_, claims.id), Code::NotFound, "not found");
    enrolled(enrolment(claims));
    const auto row = store_->token(acme_, claims.id);
    ASSERT_TRUE(row);
    EXPECT_EQ(row->uses_total, 2);
    EXPECT_EQ(row->uses_left, 1);
    EXPECT_EQ(row->token_key_id, key_.id);
    enrolled(enrolment(claims));
    const auto third = enrol(enrolment(claims));
    EXPECT_FAILS(third, Code::Gone, "spent");
    EXPECT_EQ(third.error().reason, model::kTokenSpent);
}

TEST_F(TokenKeysTest, ARefusedEnrolmentLeavesNoRow) {
    const auto claims = offline();
    auto request = enrolment(claims);
    request.name = "Not A Name";
    EXPECT_FAILS(enrol(request), Code::Invalid, "name");
    EXPECT_FAILS(store_->token(acme_, claims.id), Code::NotFound, "not found");
}

TEST_F(TokenKeysTest, ASecondTokenOfTheSameIdIsNotTaken) {
    auto claims = offline(2);
    enrolled(enrolment(claims));
    claims.nonce = random_bytes(32);
    EXPECT_FAILS(enrol(enrolment(claims)), Code::Denied, "unknown here");
}

TEST_F(TokenKeysTest, RefusesMoreUsesAndALongerLifeThanTheControllerWouldGive) {
    EXPECT_FAILS(enrol(enrolment(offline(100001))), Code::Denied, "100000 uses");
    EXPECT_FAILS(enrol(enrolment(offline(1, hours(24 * 367)))), Code::Denied, "366 days");
    enrolled(enrolment(offline(100000, hours(24 * 366))));
}

TEST_F(TokenKeysTest, WithTheKeyEndItsTokensAndItsNodesStay) {
    const auto used = offline(2), fresh = offline();
    const auto node = enrolled(enrolment(used)).node;
    ASSERT_TRUE(store_->delete_token_key({acme_, key_.id}));
    EXPECT_EQ(enrol(enrolment(used)).error().reason, model::kTokenRevoked);
    EXPECT_EQ(enrol(enrolment(fresh)).error().reason, model::kTokenInvalid);
    EXPECT_EQ(store_->node(acme_, node.id)->state, model::NodeState::Active);
    EXPECT_FAILS(store_->token_key_of(acme_, key_.kid), Code::NotFound, "not found");
}

// Without its row it would count as new.
TEST_F(TokenKeysTest, TheRowStaysUntilTheTokenHasExpired) {
    const auto claims = offline();
    enrolled(enrolment(claims));
    EXPECT_FAILS(store_->delete_token({acme_, claims.id}), Code::Conflict, "revoke it instead");
    clock_.advance(hours(25));
    EXPECT_TRUE(store_->delete_token({acme_, claims.id}));
}

TEST_F(TokenKeysTest, TokensMadeOfflineCountForTheTenantsQuota) {
    ASSERT_TRUE(store_->update_tenant(acme_, {.quotas = model::Quotas{.tokens = 1}}));
    const auto first = offline(2), second = offline();
    enrolled(enrolment(first));
    const auto refused = enrol(enrolment(second));
    EXPECT_FAILS(refused, Code::Conflict, "quota of tokens exceeded: 1/1");
    EXPECT_EQ(refused.error().reason, kQuotaExceeded);
    EXPECT_FAILS(store_->token(acme_, second.id), Code::NotFound, "not found");
    enrolled(enrolment(first));
}

TEST_F(TokenKeysTest, NamesAndKeysAreOneEachInATenant) {
    EXPECT_FAILS(try_make("field", "fedcba9876543210"), Code::Exists, "field");
    EXPECT_FAILS(try_make("other", key_.kid), Code::Exists, "field");
    EXPECT_FAILS(try_make("Not A Name", "fedcba9876543210"), Code::Invalid, "name");
    make("other", "fedcba9876543210");
    EXPECT_EQ(store_->token_keys({.tenant = acme_})->items.size(), 2u);
    EXPECT_EQ(store_->token_keys({.tenant = acme_, .name = "other"})->items.size(), 1u);
}

TEST_F(TokenKeysTest, AKeyIsOfItsTenantAlone) {
    const std::string other = tenant("other");
    EXPECT_FAILS(store_->token_key(other, key_.id), Code::NotFound, "not found");
    EXPECT_FAILS(store_->token_key_of(other, key_.kid), Code::NotFound, "not found");
    EXPECT_FAILS(store_->delete_token_key({other, key_.id}), Code::NotFound, "not found");
}

TEST_F(TokenKeysTest, WhatIsDoneWithAKeyIsInTheAudit) {
    enrolled(enrolment(offline()));
    ASSERT_TRUE(store_->delete_token_key({acme_, key_.id}));
    std::vector<std::string> actions;
    const auto page = store_->audit({.tenant_id = acme_});
    for (const auto& entry : page->items) actions.push_back(entry.action);
    EXPECT_EQ(actions,
              (std::vector<std::string>{"TENANT_CREATED", "NETWORK_CREATED", "TOKEN_KEY_CREATED",
                                        "TOKEN_CREATED", "NODE_ENROLLED", "TOKEN_KEY_DELETED"}));
}

}  // namespace
}  // namespace cvlan::store
