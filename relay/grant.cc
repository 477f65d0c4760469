// SPDX-License-Identifier: Apache-2.0
#include "relay/grant.h"

#include <algorithm>
#include <chrono>

#include "model/json.h"
#include "model/wire.h"

namespace cvlan::relay {

namespace wire = model::wire;

namespace {

// A day and a little: what claims more was not meant, whoever signed it.
constexpr std::chrono::hours kLongest{48};
// By which the controller's clock may be ahead of ours.
constexpr std::chrono::minutes kTolerance{5};

Result<wire::RelayGrant> read_signed(std::string_view json, const TenantTrust& trust) {
    if (json.size() > kMostGrant) return fail(Code::TooLarge, "a grant of {} bytes", json.size());
    auto bytes = model::decode<wire::SignedBytes>(json, model::kDocument);
    if (!bytes) return failed(bytes.error().while_doing("grant"));
    const auto key = std::find_if(trust.map_keys.begin(), trust.map_keys.end(),
                                  [&](const auto& known) { return known.kid() == bytes->kid; });
    if (key == trust.map_keys.end())
        return fail(Code::Denied, "the grant is signed with a key that is not the tenant's");
    if (!key->verify(bytes->payload, bytes->signature))
        return fail(Code::Denied, "the grant has a bad signature");
    auto grant = model::decode<wire::RelayGrant>(as_text(bytes->payload), model::kDocument);
    if (!grant) return failed(grant.error().while_doing("grant"));
    return grant;
}

}  // namespace

bool TenantTrust::is_barred(std::string_view node_id, std::string_view network_id,
                            WallTime now) const {
    return std::any_of(barred.begin(), barred.end(), [&](const Barred& one) {
        return one.node_id == node_id && now < one.until &&
               (one.network_id.empty() || one.network_id == network_id);
    });
}

Result<Grant> verify_grant(std::string_view json, const TenantTrust& trust,
                           std::string_view node_id, WallTime now) {
    auto grant = read_signed(json, trust);
    if (!grant) return failed(grant.error());
    if (grant->tenant_id != trust.tenant_id || grant->node_id != node_id)
        return fail(Code::Denied, "the grant is another node's");
    if (grant->expires_at <= now) return fail(Code::Denied, "the grant has run out");
    if (grant->issued_at > now + kTolerance || grant->expires_at - grant->issued_at > kLongest)
        return fail(Code::Denied, "the grant's times can not be");
    if (trust.is_barred(node_id, grant->network_id, now))
        return fail(Code::Denied, "the node is barred from this network");
    auto key = Key::parse(grant->wireguard_public_key);
    if (!key) return failed(key.error().while_doing("grant"));
    return Grant{std::move(grant->network_id), *key, grant->expires_at};
}

}  // namespace cvlan::relay
