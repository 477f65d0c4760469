// SPDX-License-Identifier: Apache-2.0
#include "pki/token.h"

namespace cvlan::pki {

namespace {

constexpr std::string_view kTag = "cvlan_reg_";

// One sentence for each way in which the form may be wrong: it is no oracle, and repeats nothing.
tl::unexpected<Error> no_token() {
    return fail(Code::Invalid, "this is no registration token, or not all of one");
}

}  // namespace

Result<SecretText> make_token(model::TokenClaims claims, const SigningKey& key) {
    claims.kid = key.kid();
    const std::string signed_text = model::encode_claims(claims);
    // What the readers would refuse must not leave.
    if (auto readable = model::decode_claims(signed_text); !readable)
        return failed(readable.error().while_doing("token"));
    const Bytes signature = key.sign(as_bytes(signed_text));
    std::string text(kTag);
    text += base64url(as_bytes(signed_text));
    text += '.';
    text += base64url(signature);
    if (text.size() > kMaxTokenBytes) return fail(Code::Invalid, "token: too many tags");
    return SecretText(std::move(text));
}

Result<UnverifiedToken> parse_token(std::string_view text) {
    if (text.size() > kMaxTokenBytes || !text.starts_with(kTag)) return no_token();
    text.remove_prefix(kTag.size());
    const size_t dot = text.find('.');
    if (dot == std::string_view::npos) return no_token();
    auto claims_bytes = from_base64url(text.substr(0, dot));
    auto signature = from_base64url(text.substr(dot + 1));
    if (!claims_bytes || !signature || signature->size() != 64) return no_token();

    auto claims = model::decode_claims(as_text(*claims_bytes));
    if (!claims && claims.error().code == Code::Unsupported) return failed(claims.error());
    if (!claims) return no_token();
    return UnverifiedToken{std::move(*claims), std::string(as_text(*claims_bytes)),
                           std::move(*signature)};
}

std::string enrolment_binding(const model::TokenClaims& claims, ByteView wireguard_key) {
    Bytes bound = claims.nonce;
    bound.insert(bound.end(), wireguard_key.begin(), wireguard_key.end());
    return hex(sha256(bound));
}

Result<void> verify_token(const UnverifiedToken& token, const VerifyKey& key, WallTime now) {
    if (token.claims.kid != key.kid() || !key.verify(as_bytes(token.signed_text), token.signature))
        return fail_as(model::kTokenInvalid, Code::Denied, "token is not of this controller");
    return check_expiry(token, now);
}

Result<void> check_expiry(const UnverifiedToken& token, WallTime now) {
    if (now >= token.claims.expires_at)
        return fail_as(model::kTokenExpired, Code::Gone, "token has expired");
    return {};
}

}  // namespace cvlan::pki
