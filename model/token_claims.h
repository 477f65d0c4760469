// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a registration token says, and its JSON. pki signs and verifies these bytes, store spends
// the token. A reader ignores claims it does not know, so that a newer controller's token still
// enrols.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "model/objects.h"

namespace cvlan::model {

inline constexpr int64_t kTokenVersion = 1;

// Which way a token was refused: Error::reason, and the API's code.
inline constexpr const char* kTokenInvalid = "TOKEN_INVALID";  // not of this controller
inline constexpr const char* kTokenExpired = "TOKEN_EXPIRED";
inline constexpr const char* kTokenRevoked = "TOKEN_REVOKED";
inline constexpr const char* kTokenSpent = "TOKEN_SPENT";

struct TokenClaims {
    std::string kid;  // of the tenant's token key
    std::string id;
    std::string tenant_id;
    std::string network_id;  // empty where the role is Relay
    TokenRole role = TokenRole::Node;
    std::vector<std::string> tags;
    WallTime expires_at{};  // whole seconds
    int64_t uses = 1;
    Bytes nonce;      // 32 random bytes; the database holds their SHA-256 alone
    std::string url;  // https://NAME:PORT of the registration listener
    Bytes ca_spki;    // SHA-256 of the root CA's SubjectPublicKeyInfo
};

// {"v":1,"kid":…,"id":…,"tenant":…,"network":…,"role":"NODE","tags":[],"exp":…,"uses":1,"nonce":…,"url":…,"caSpki":…}
std::string encode_claims(const TokenClaims& claims);
// Another version than kTokenVersion is Code::Unsupported; anything else amiss is Code::Invalid.
Result<TokenClaims> decode_claims(std::string_view json);
// Hex SHA-256 of the nonce, as the store keeps it.
std::string nonce_hash(const TokenClaims& claims);

}  // namespace cvlan::model
