// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a controller makes, made here with the real keys and certificates: tokens, enrolments,
// signed maps. No server; fake_controller.h puts one around it.

#include <string>
#include <vector>

#include "base/clock.h"
#include "enrolee/enrolment.h"
#include "model/wire.h"
#include "pki/authority.h"
#include "pki/csr.h"
#include "pki/token.h"
#include "tests/support/temp_dir.h"

namespace cvlan::enrolee::testing {

inline const std::string kTenant = "01900000-0000-7000-8000-000000000001";
inline const std::string kNode = "01900000-0000-7000-8000-0000000000aa";
inline const std::string kNetwork = "01900000-0000-7000-8000-0000000000bb";
inline const std::string kOther = "01900000-0000-7000-8000-0000000000cc";
inline const WallTime kNow = SystemClock().now();  // TLS reads the real clock

inline std::string node_id(int n) { return fmt::format("01900000-0000-7000-8000-{:012x}", n); }
inline std::string wireguard_key(int n) {
    Bytes bytes(32, static_cast<uint8_t>(n));
    bytes[0] = 9;
    return base64(bytes);
}

struct MapMaker {
    pki::SigningKey key = pki::SigningKey::generate();
    int64_t epoch = 1;
    std::optional<wire::MapExpiry> expiry{};

    wire::SignedBytes sign(std::string payload) const {
        auto bytes = pki::sign_bytes(key, std::move(payload));
        const auto view = as_bytes(bytes.payload);
        return {bytes.kid, Bytes(view.begin(), view.end()), bytes.signature};
    }
    wire::SignedBytes head(int64_t revision, WallTime issued = kNow,
                           const std::string& node = kNode) const {
        wire::MapHead head{
            kTenant, node, {kNetwork}, epoch, revision, issued, issued + std::chrono::hours(24 * 7),
            expiry};
        return sign(encode(head));
    }
    wire::SignedBytes network(int64_t revision = 1,
                              std::optional<wire::Topology> topology = {}) const {
        wire::MapFragment fragment;
        fragment.scope = fragment.id = kNetwork;
        fragment.kind = wire::FragmentKind::Network;
        fragment.revision = revision;
        fragment.network = wire::MapNetwork{"office", "10.100.0.0/24", {}, 1420, {}, {}, topology};
        return sign(encode(fragment));
    }
    wire::SignedBytes peer(const std::string& id, int n, int64_t revision, std::string key_text,
                           std::vector<std::string> endpoints = {}) const {
        wire::MapFragment fragment;
        fragment.scope = kNetwork;
        fragment.id = id;
        fragment.kind = wire::FragmentKind::Peer;
        fragment.revision = revision;
        wire::MapPeer peer;
        peer.name = fmt::format("n{}", n);
        peer.addresses = {fmt::format("10.100.0.{}", n)};
        peer.wireguard_public_key = std::move(key_text);
        peer.endpoints = std::move(endpoints);
        fragment.peer = std::move(peer);
        return sign(encode(fragment));
    }
    // Of `of`, which is the network's vrouter now.
    wire::SignedBytes gateway(const wire::SignedBytes& of, std::vector<std::string> routes) const {
        auto fragment = *model::decode<wire::MapFragment>(as_text(of.payload));
        fragment.peer->gateway = true;
        fragment.peer->routes = std::move(routes);
        return sign(encode(fragment));
    }
    wire::SignedBytes tombstone(const std::string& id, int64_t revision) const {
        wire::MapFragment fragment;
        fragment.scope = kNetwork;
        fragment.id = id;
        fragment.kind = wire::FragmentKind::Peer;
        fragment.revision = revision;
        fragment.removed = true;
        return sign(encode(fragment));
    }
    wire::NodeMap full(int64_t revision, std::vector<wire::SignedBytes> fragments) const {
        return {wire::MapKind::Full, epoch, revision, head(revision), std::move(fragments)};
    }
    wire::NodeMap delta(int64_t revision, std::vector<wire::SignedBytes> fragments) const {
        return {wire::MapKind::Delta, epoch, revision, std::nullopt, std::move(fragments)};
    }
    // This node, and peers 2 … count.
    wire::NodeMap usual(int64_t revision, int count, const std::string& own_key) const {
        std::vector<wire::SignedBytes> fragments{network(), peer(kNode, 1, 1, own_key)};
        for (int n = 2; n <= count; ++n)
            fragments.push_back(
                peer(node_id(n), n, 1, wireguard_key(n), {fmt::format("192.0.2.{}:51820", n)}));
        return full(revision, std::move(fragments));
    }
    std::vector<pki::VerifyKey> keys() const {
        std::vector<pki::VerifyKey> keys;
        keys.push_back(*pki::VerifyKey::from_bytes(key.public_key().bytes()));
        return keys;
    }
};

// A certificate authority, tokens and enrolments of one controller.
struct Issuer {
    cvlan::test::TempDir folder;
    pki::Authority authority = make(folder.path());
    pki::SigningKey token_key = pki::SigningKey::generate();
    MapMaker maps;

    static pki::Authority make(const std::string& path) {
        if (!pki::Authority::create(path, "cvlan.test", kNow)) std::abort();
        return *pki::Authority::open(path);
    }
    // One without a network is a relay's.
    std::string token(const std::string& url, const std::string& network = kNetwork) const {
        model::TokenClaims claims;
        claims.id = node_id(77);
        claims.tenant_id = kTenant;
        claims.network_id = network;
        if (network.empty()) claims.role = model::TokenRole::Relay;
        claims.expires_at = kNow + std::chrono::hours(24);
        claims.nonce = Bytes(32, 7);
        claims.url = url;
        claims.ca_spki = authority.root_spki();
        return pki::make_token(claims, token_key)->reveal();
    }
    std::string certificate(const std::string& csr_pem, const std::string& node = kNode,
                            model::TokenRole role = model::TokenRole::Node) const {
        return authority.issue_node(*pki::Csr::parse(csr_pem), {kTenant, node, role}, kNow)
            ->chain_pem;
    }
    wire::Enrolment enrol(const std::string& csr_pem, const std::string& url,
                          const std::string& network = kNetwork) const {
        const bool is_relay = network.empty();
        wire::Enrolment answer;
        answer.node_id = kNode;
        answer.tenant_id = kTenant;
        answer.name = is_relay ? "r1" : "n1";
        answer.trust_domain = "cvlan.test";
        answer.certificate = certificate(
            csr_pem, kNode, is_relay ? model::TokenRole::Relay : model::TokenRole::Node);
        answer.trust_bundle = authority.trust_bundle();
        answer.map_keys = {{maps.key.kid(), maps.key.public_key().bytes()}};
        answer.session = answer.registration = {url};
        if (!is_relay) answer.membership.emplace().network_id = network;
        return answer;
    }
};

// An identity that has been enrolled by `issuer`, as that of a relay.
inline Identity enrolled_identity(const Issuer& issuer, const std::string& url = "https://c:1") {
    auto identity = new_identity(kTenant);
    const std::string text = issuer.token(url, "");
    if (!trust_token(*identity, pki::parse_token(text)->claims)) std::abort();
    const auto request = enrol_request(*identity, text, {}, {});
    if (!accept(*identity, issuer.enrol(request->csr, url, ""))) std::abort();
    return std::move(*identity);
}

}  // namespace cvlan::enrolee::testing
