// SPDX-License-Identifier: Apache-2.0
#include "enrolee/enrolment.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/version.h"
#include "http/origin.h"
#include "model/objects.h"
#include "pki/certificate.h"
#include "pki/csr.h"
#include "pki/token.h"

namespace cvlan::enrolee {

namespace {

// The leaf is for our key and our names, and its chain ends in the root that the token named.
Result<void> check_certificate(const state::IdentityState& kept, const SecretText& key_pem) {
    auto key = pki::TlsKey::from_pem(key_pem);
    if (!key) return failed(key.error());
    auto leaf = pki::parse_node_certificate(*kept.certificate, *kept.trust_domain);
    if (!leaf) return failed(leaf.error());
    if (leaf->tenant_id != kept.tenant_id || leaf->node_id != *kept.node_id)
        return fail(Code::Denied, "the certificate is another node's");
    if (leaf->key_hash != key->key_hash())
        return fail(Code::Denied, "the certificate is for another key");
    const bool is_pinned =
        std::any_of(kept.trust_bundle.begin(), kept.trust_bundle.end(), [&](const auto& root) {
            auto hash = pki::spki_sha256(root);
            return hash && *hash == kept.ca_spki;
        });
    if (!is_pinned) return fail(Code::Denied, "the trust bundle lacks the token's root");
    // In force by its own word: our wall clock may be wrong, and TLS has checked the controller's.
    return pki::verify_chain(*kept.certificate, kept.trust_bundle, leaf->not_before);
}

Result<void> take_map_keys(const std::vector<wire::MapKey>& from, state::IdentityState& kept) {
    if (from.empty()) return fail(Code::Malformed, "no map key");
    kept.map_keys.clear();
    for (const wire::MapKey& key : from) {
        auto known = pki::VerifyKey::from_bytes(key.public_key);
        if (!known) return failed(known.error().while_doing("map key"));
        kept.map_keys.push_back({known->kid(), key.public_key});
    }
    return {};
}

Result<void> take_urls(const std::vector<std::string>& from, std::vector<std::string>& to) {
    if (from.empty()) return {};
    for (const std::string& url : from)
        if (auto origin = http::parse_origin(url); !origin) return failed(origin.error());
    to = from;
    return {};
}

void drop(std::optional<std::string>& key) {
    if (std::string* text = key ? &*key : nullptr) OPENSSL_cleanse(text->data(), text->size());
    key.reset();
}

}  // namespace

Result<void> trust_token(Identity& identity, const model::TokenClaims& claims) {
    if (auto origin = http::parse_origin(claims.url); !origin)
        return failed(origin.error().while_doing("token"));
    identity.kept.registration = {claims.url};
    identity.kept.ca_spki = claims.ca_spki;
    return {};
}

Result<wire::EnrolRequest> enrol_request(const Identity& identity, const std::string& token,
                                         ByteView wireguard_public_key,
                                         std::vector<std::string> capabilities) {
    auto key = pki::TlsKey::from_pem(SecretText(identity.kept.tls_key));
    if (!key) return failed(key.error().while_doing("the node's TLS key"));
    auto parsed = pki::parse_token(token);
    if (!parsed) return failed(parsed.error());
    auto csr = pki::create_csr(*key, pki::enrolment_binding(parsed->claims, wireguard_public_key));
    if (!csr) return failed(csr.error());
    wire::EnrolRequest request;
    request.token = token;
    request.csr = *csr;
    request.protocol_version = kProtocolVersion;
    request.capabilities = std::move(capabilities);
    return request;
}

Result<void> accept(Identity& identity, const wire::Enrolment& answer) {
    Identity next;  // wiped, whichever of the two it is in the end
    state::IdentityState& kept = next.kept = identity.kept;
    if (answer.tenant_id != kept.tenant_id)
        return fail(Code::Denied, "enrolled in another tenant than the token's");
    if (!is_uuid(answer.node_id)) return fail(Code::Malformed, "the node's id is no UUID");
    // The name reaches terminals and logs of this machine.
    if (auto name = model::check_name("name", answer.name); !name) return name;
    kept.node_id = answer.node_id;
    kept.name = answer.name;
    kept.trust_domain = answer.trust_domain;
    kept.certificate = answer.certificate;
    kept.trust_bundle = answer.trust_bundle;
    kept.phase = state::Phase::Enrolled;
    drop(kept.next_tls_key);
    if (auto urls = take_urls(answer.registration, kept.registration); !urls) return urls;
    kept.session = kept.registration;
    if (auto urls = take_urls(answer.session, kept.session); !urls) return urls;
    if (auto keys = take_map_keys(answer.map_keys, kept); !keys) return keys;
    if (auto good = check_certificate(kept, SecretText(kept.tls_key)); !good) return good;
    for (auto& network : kept.networks) {
        // A new node, after a deletion, is a member of nothing but what its token names.
        if (identity.kept.node_id != kept.node_id) network.joined = false;
        if (answer.membership && network.network_id == answer.membership->network_id)
            network.joined = true;
    }
    std::swap(identity.kept, kept);
    return {};
}

Result<void> accept_renewal(Identity& identity, const wire::Renewal& answer) {
    Identity next;  // wiped, whichever of the two it is in the end
    state::IdentityState& kept = next.kept = identity.kept;
    if (!kept.next_tls_key) return fail(Code::Internal, "no renewal is under way");
    kept.certificate = answer.certificate;
    std::swap(kept.tls_key, *kept.next_tls_key);
    drop(kept.next_tls_key);
    kept.trust_bundle = answer.trust_bundle;
    if (auto keys = take_map_keys(answer.map_keys, kept); !keys) return keys;
    if (auto good = check_certificate(kept, SecretText(kept.tls_key)); !good) return good;
    std::swap(identity.kept, kept);
    return {};
}

ControllerOptions registration_of(const Identity& identity) {
    ControllerOptions options{identity.kept.registration};
    options.credentials.trust.ca_spki_sha256 = identity.kept.ca_spki;
    return options;
}

Credentials session_credentials(const Identity& identity) {
    Credentials credentials;
    credentials.trust.ca_pem = identity.trust_pem();
    credentials.certificate_pem = identity.kept.certificate.value_or("");
    credentials.private_key_pem = SecretText(identity.kept.tls_key);
    return credentials;
}

Result<CertificateTimes> certificate_times(const Identity& identity) {
    if (!identity.kept.certificate || !identity.kept.trust_domain)
        return fail(Code::NotFound, "no certificate");
    auto leaf =
        pki::parse_node_certificate(*identity.kept.certificate, *identity.kept.trust_domain);
    if (!leaf) return failed(leaf.error());
    return CertificateTimes{leaf->not_before, leaf->not_after};
}

bool is_renewal_due(const CertificateTimes& times, WallTime now) {
    return now - times.not_before >= (times.not_after - times.not_before) * 2 / 3;
}

}  // namespace cvlan::enrolee
