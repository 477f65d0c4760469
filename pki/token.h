// SPDX-License-Identifier: Apache-2.0
#pragma once

// Registration tokens: `cvlan_reg_` + base64url(claims) + `.` + base64url(Ed25519 signature over
// the claims' bytes). The tenant's token key makes them, offline too. An agent reads url and caSpki
// of one before it can verify anything: with them it finds the true controller, which alone
// verifies.

#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "model/token_claims.h"
#include "pki/keys.h"

namespace cvlan::pki {

inline constexpr size_t kMaxTokenBytes = 4096;

// Sets claims.kid to the key's.
Result<SecretText> make_token(model::TokenClaims claims, const SigningKey& key);

struct UnverifiedToken {
    model::TokenClaims claims;
    std::string signed_text;  // the bytes under the signature
    Bytes signature;
};
// The form alone. Code::Invalid, with no word of the token's content.
Result<UnverifiedToken> parse_token(std::string_view text);

// The CN of an enrolment's certificate request: lower hex of SHA-256(nonce || WireGuard public
// key). With it the request's signature stands for this token and this key too: one that somebody
// copied is worth nothing with another token (F22).
std::string enrolment_binding(const model::TokenClaims& claims, ByteView wireguard_key);

// `key` is the tenant's key of claims.kid. A bad signature is Code::Denied, kTokenInvalid; after
// that an expired token is Code::Gone, kTokenExpired.
Result<void> verify_token(const UnverifiedToken& token, const VerifyKey& key, WallTime now);
// Its last step, for a token whose signature is known to be good.
Result<void> check_expiry(const UnverifiedToken& token, WallTime now);

}  // namespace cvlan::pki
