// SPDX-License-Identifier: Apache-2.0
#include "model/token_claims.h"

#include <nlohmann/json.hpp>

#include "model/json_codec.h"

namespace cvlan::model {

namespace {

constexpr const char* kRoles[] = {"NODE", "VROUTER", "RELAY"};
constexpr int64_t kLastSecond = 253402300799;  // 9999-12-31T23:59:59Z, where RFC 3339 ends

Result<Bytes> read_32(const char* claim, const std::string& text) {
    auto bytes = from_base64url(text);
    if (!bytes || bytes->size() != 32)
        return fail(Code::Invalid, "/{}: must be 32 bytes in base64url", claim);
    return bytes;
}

}  // namespace

std::string encode_claims(const TokenClaims& claims) {
    JsonOut out;
    out["v"] = kTokenVersion;
    out["kid"] = claims.kid;
    out["id"] = claims.id;
    out["tenant"] = claims.tenant_id;
    if (!claims.network_id.empty()) out["network"] = claims.network_id;
    out["role"] = kRoles[static_cast<size_t>(claims.role)];
    out["tags"] = claims.tags;
    out["exp"] = unix_ms(claims.expires_at) / 1000;
    out["uses"] = claims.uses;
    out["nonce"] = base64url(claims.nonce);
    out["url"] = claims.url;
    out["caSpki"] = base64url(claims.ca_spki);
    return out.dump(-1, ' ', false, JsonOut::error_handler_t::replace);
}

Result<TokenClaims> decode_claims(std::string_view json) {
    const JsonLimits limits{Unknown::Ignore, 1000};
    Json document;
    if (auto parsed = parse_document(json, limits, document); !parsed)
        return failed(parsed.error());

    JsonContext context{limits, {}, {}};
    ObjectIn in(context, document);
    int64_t version = 0;
    in.required("v", Rule{.lowest = 1}, version);
    if (!context.error && version != kTokenVersion)
        return fail(Code::Unsupported, "a token of version {}, made for newer programs", version);

    const Rule uuid{.form = Rule::Form::Uuid};
    TokenClaims claims;
    std::string role, nonce, ca_spki;
    std::optional<std::string> network;
    int64_t expires_s = 0;
    in.required("kid", Rule{.max_length = 64}, claims.kid);
    in.required("id", uuid, claims.id);
    in.required("tenant", uuid, claims.tenant_id);
    in.optional("network", uuid, network);
    in.required("role", Rule{.max_length = 16}, role);
    in.optional("tags", Rule{.max_length = 64, .max_items = 32}, claims.tags);
    in.required("exp", Rule{.lowest = 0, .highest = kLastSecond}, expires_s);
    in.required("uses", Rule{.lowest = 1, .highest = 100000}, claims.uses);
    in.required("nonce", Rule{.max_length = 64}, nonce);
    in.required("url", Rule{.max_length = 512}, claims.url);
    in.required("caSpki", Rule{.max_length = 64}, ca_spki);
    if (context.error) return failed(*context.error);

    const auto* known = std::find(std::begin(kRoles), std::end(kRoles), role);
    if (known == std::end(kRoles)) return fail(Code::Invalid, "/role: not a known role");
    claims.role = static_cast<TokenRole>(known - std::begin(kRoles));
    if (!network && claims.role != TokenRole::Relay)
        return fail(Code::Invalid, "/network: is required");
    claims.network_id = network.value_or("");
    claims.expires_at = from_unix_ms(expires_s * 1000);
    auto nonce_bytes = read_32("nonce", nonce);
    if (!nonce_bytes) return failed(nonce_bytes.error());
    claims.nonce = std::move(*nonce_bytes);
    auto spki_bytes = read_32("caSpki", ca_spki);
    if (!spki_bytes) return failed(spki_bytes.error());
    claims.ca_spki = std::move(*spki_bytes);
    if (!claims.url.starts_with("https://")) return fail(Code::Invalid, "/url: must be https");
    return claims;
}

std::string nonce_hash(const TokenClaims& claims) { return hex(sha256(claims.nonce)); }

}  // namespace cvlan::model
