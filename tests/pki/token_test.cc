// SPDX-License-Identifier: Apache-2.0
#include "pki/token.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace cvlan::pki {
namespace {

constexpr const char* kTenant = "0190a000-0000-7000-8000-000000000001";
constexpr const char* kNetwork = "0190a000-0000-7000-8000-000000000002";
constexpr const char* kToken = "0190a000-0000-7000-8000-000000000003";
const WallTime kNow = from_unix_ms(1'700'000'000'000);

model::TokenClaims claims() {
    model::TokenClaims claims;
    claims.id = kToken;
    claims.tenant_id = kTenant;
    claims.network_id = kNetwork;
    claims.role = model::TokenRole::Vrouter;
    claims.tags = {"site-a", "\"quoted\""};
    claims.expires_at = kNow + std::chrono::hours(24);
    claims.uses = 5;
    claims.nonce = random_bytes(32);
    claims.url = "https://controller.example:8443";
    claims.ca_spki = random_bytes(32);
    return claims;
}

std::string assembled(std::string_view json, const SigningKey& key) {
    return "cvlan_reg_" + base64url(as_bytes(json)) + "." + base64url(key.sign(as_bytes(json)));
}

TEST(Token, CarriesItsClaims) {
    const SigningKey key = SigningKey::generate();
    const model::TokenClaims made = claims();
    const auto text = make_token(made, key);
    ASSERT_TRUE(text) << text.error().message;
    const auto token = parse_token(text->reveal());
    ASSERT_TRUE(token) << token.error().message;
    EXPECT_EQ(token->claims.kid, key.kid());
    EXPECT_EQ(token->claims.id, made.id);
    EXPECT_EQ(token->claims.tenant_id, made.tenant_id);
    EXPECT_EQ(token->claims.network_id, made.network_id);
    EXPECT_EQ(token->claims.role, made.role);
    EXPECT_EQ(token->claims.tags, made.tags);
    EXPECT_EQ(token->claims.expires_at, made.expires_at);
    EXPECT_EQ(token->claims.uses, made.uses);
    EXPECT_EQ(token->claims.nonce, made.nonce);
    EXPECT_EQ(token->claims.url, made.url);
    EXPECT_EQ(token->claims.ca_spki, made.ca_spki);
    EXPECT_TRUE(verify_token(*token, key.public_key(), kNow));
    EXPECT_EQ(model::nonce_hash(token->claims), hex(sha256(made.nonce)));
}

TEST(Token, IsRefusedByAnotherKey) {
    const auto token = parse_token(make_token(claims(), SigningKey::generate())->reveal());
    const auto verdict = verify_token(*token, SigningKey::generate().public_key(), kNow);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Code::Denied);
}

TEST(Token, ExpiresAtItsSecond) {
    const SigningKey key = SigningKey::generate();
    const model::TokenClaims made = claims();
    const auto token = parse_token(make_token(made, key)->reveal());
    EXPECT_TRUE(
        verify_token(*token, key.public_key(), made.expires_at - std::chrono::milliseconds(1)));
    const auto late = verify_token(*token, key.public_key(), made.expires_at);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::Gone);
    EXPECT_EQ(late.error().message, "token has expired");
}

// F21. An expired token with a bad signature is told nothing of its expiry.
TEST(Token, IsRefusedWithAnyBitFlipped) {
    const SigningKey key = SigningKey::generate();
    const std::string text = make_token(claims(), key)->reveal();
    for (size_t i = 0; i < text.size(); ++i) {
        std::string bad = text;
        bad[i] = static_cast<char>(bad[i] ^ 1);
        const auto token = parse_token(bad);
        if (!token) continue;
        const auto verdict =
            verify_token(*token, key.public_key(), kNow + std::chrono::hours(9999));
        ASSERT_FALSE(verdict) << i;
        EXPECT_EQ(verdict.error().code, Code::Denied) << i;
    }
}

TEST(Token, IsRefusedTruncatedAnywhere) {
    const SigningKey key = SigningKey::generate();
    const std::string text = make_token(claims(), key)->reveal();
    for (size_t size = 0; size < text.size(); ++size) {
        const auto token = parse_token(std::string_view(text).substr(0, size));
        ASSERT_FALSE(token) << size;
        EXPECT_EQ(token.error().code, Code::Invalid);
    }
    EXPECT_FALSE(parse_token(text + "\n"));
    EXPECT_FALSE(parse_token(" " + text));
    EXPECT_FALSE(parse_token(text + std::string(kMaxTokenBytes, 'A')));
}

TEST(Token, RefusesClaimsOfTheWrongKind) {
    const SigningKey key = SigningKey::generate();
    const std::string good = model::encode_claims(claims());
    ASSERT_TRUE(parse_token(assembled(good, key)));
    const std::pair<std::string, std::string> changes[] = {
        {"\"role\":\"VROUTER\"", "\"role\":\"ADMIN\""},
        {"\"uses\":5", "\"uses\":0"},
        {"\"uses\":5", "\"uses\":-1"},
        {"\"uses\":5", "\"uses\":5,\"uses\":6"},
        {"\"uses\":5", "\"uses\":\"5\""},
        {"\"exp\":", "\"exp\":99999999999999"},
        {"\"exp\":", "\"expires\":"},
        {"https://", "http://"},
        {kTenant, "not-a-uuid"},
        {"\"nonce\":\"", "\"nonce\":\"AAAA"},
        {"\"caSpki\":\"", "\"caSpki\":\"?"},
        {"\"tags\":[", "\"tags\":[7,"},
    };
    for (const auto& [from, to] : changes) {
        std::string bad = good;
        const size_t at = bad.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        bad.replace(at, from.size(), to);
        EXPECT_FALSE(parse_token(assembled(bad, key))) << to;
    }
    EXPECT_FALSE(parse_token(assembled("[]", key)));
    EXPECT_FALSE(parse_token(assembled("{", key)));
}

TEST(Token, IgnoresClaimsOfANewerProgram) {
    const SigningKey key = SigningKey::generate();
    model::TokenClaims made = claims();
    made.kid = key.kid();
    std::string json = model::encode_claims(made);
    json.insert(1, "\"colour\":{\"deep\":[1,2]},");
    const auto token = parse_token(assembled(json, key));
    ASSERT_TRUE(token) << token.error().message;
    EXPECT_TRUE(verify_token(*token, key.public_key(), kNow));
}

TEST(Token, OfANewerVersionSaysSo) {
    const SigningKey key = SigningKey::generate();
    std::string json = model::encode_claims(claims());
    json.replace(json.find("\"v\":1"), 5, "\"v\":2");
    const auto token = parse_token(assembled(json, key));
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().code, Code::Unsupported);
}

TEST(Token, IsNotMadeFromClaimsThatItsReadersRefuse) {
    const SigningKey key = SigningKey::generate();
    model::TokenClaims bad = claims();
    bad.uses = 0;
    EXPECT_FALSE(make_token(bad, key));
    bad = claims();
    bad.nonce.pop_back();
    EXPECT_FALSE(make_token(bad, key));
    bad = claims();
    bad.tags.assign(32, std::string(64, '"'));
    EXPECT_FALSE(make_token(bad, key));
}

TEST(Token, SurvivesAnyTextAsInput) {
    EXPECT_TRUE(rc::check("parse_token answers", [](const std::string& text) {
        RC_ASSERT(!parse_token("cvlan_reg_" + text));
    }));
}

}  // namespace
}  // namespace cvlan::pki
