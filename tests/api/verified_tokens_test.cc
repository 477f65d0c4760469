// SPDX-License-Identifier: Apache-2.0
#include "api/verified_tokens.h"

#include <gtest/gtest.h>

namespace cvlan::api {
namespace {

using std::chrono::hours;
const WallTime kNow = from_unix_ms(1'700'000'000'000);

struct VerifiedTokensTest : testing::Test {
    std::string made(const pki::SigningKey& key) {
        model::TokenClaims claims;
        claims.id = "0190a000-0000-7000-8000-000000000003";
        claims.tenant_id = "0190a000-0000-7000-8000-000000000001";
        claims.network_id = "0190a000-0000-7000-8000-000000000002";
        claims.expires_at = kNow + hours(24);
        claims.nonce = random_bytes(32);
        claims.url = "https://controller.example:8443";
        claims.ca_spki = random_bytes(32);
        return pki::make_token(claims, key)->reveal();
    }
    std::string verdict(const std::string& text, const pki::SigningKey& key, WallTime now = kNow) {
        auto token = pki::parse_token(text);
        if (!token) return token.error().message;
        auto good = verified_.verify(text, *token, key.public_key(), now, checked_);
        return good ? "" : good.error().reason;
    }

    pki::SigningKey key_ = pki::SigningKey::generate();
    VerifiedTokens verified_;
    size_t checked_ = 0;
};

TEST_F(VerifiedTokensTest, ATokenThatIsKnownExpiresAllTheSame) {
    const std::string text = made(key_);
    EXPECT_EQ(verdict(text, key_), "");
    EXPECT_EQ(verdict(text, key_), "");
    EXPECT_EQ(verdict(text, key_, kNow + hours(24)), model::kTokenExpired);
}

TEST_F(VerifiedTokensTest, AKnownTokenIsNotGoodByAnotherKey) {
    const std::string text = made(key_);
    EXPECT_EQ(verdict(text, key_), "");
    EXPECT_EQ(verdict(text, pki::SigningKey::generate()), model::kTokenInvalid);
}

// All but the bits that base64 leaves over at its end.
TEST_F(VerifiedTokensTest, NothingThatIsLikeAKnownTokenIsGood) {
    const std::string text = made(key_);
    EXPECT_EQ(verdict(text, key_), "");
    for (size_t at = 0; at + 1 < text.size(); ++at) {
        std::string other = text;
        other[at] = other[at] == 'A' ? 'B' : 'A';
        EXPECT_NE(verdict(other, key_), "") << at;
    }
}

TEST_F(VerifiedTokensTest, AnExpiredTokenIsVerifiedEachTime) {
    const std::string text = made(key_);
    EXPECT_EQ(verdict(text, key_, kNow + hours(25)), model::kTokenExpired);
    EXPECT_EQ(verdict(text, pki::SigningKey::generate(), kNow + hours(25)), model::kTokenInvalid);
    EXPECT_EQ(verdict(text, key_), "");
}

TEST_F(VerifiedTokensTest, WhatIsForgottenIsVerifiedAnew) {
    const std::string first = made(key_);
    EXPECT_EQ(verdict(first, key_), "");
    for (size_t i = 0; i < VerifiedTokens::kMost; ++i) EXPECT_EQ(verdict(made(key_), key_), "");
    EXPECT_EQ(verdict(first, key_), "");
}

}  // namespace
}  // namespace cvlan::api
