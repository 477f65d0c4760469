// SPDX-License-Identifier: Apache-2.0
#pragma once

// One tenant of a relay, with its authorities: for tests and the bench.

#include <string>
#include <vector>

#include "http/tls.h"
#include "model/wire.h"
#include "relay/grant.h"
#include "tests/support/test_ca.h"

namespace cvlan::relay::test {

namespace wire = model::wire;
using cvlan::test::CertWish;
using cvlan::test::IssuedCert;
using cvlan::test::TestCa;

inline constexpr const char* kTrustDomain = "cvlan.example";
inline constexpr const char* kNetwork1 = "0193b000-0000-7000-8000-000000000001";
inline constexpr const char* kNetwork2 = "0193b000-0000-7000-8000-000000000002";

inline std::string node_uuid(int number) {
    return fmt::format("0193c000-0000-7000-8000-{:012}", number);
}

inline Key key_of(uint8_t number) {
    Key key;
    key.writable().fill(number);
    return key;
}

// One tenant: its CA, its map key, and its relay's name in it.
struct TestTenant {
    explicit TestTenant(int number)
        : id(fmt::format("0193a000-0000-7000-8000-{:012}", number)),
          server_name(fmt::format("{}.{}.{}", node_uuid(0), id, kTrustDomain)) {}

    std::string id;
    std::string server_name;
    TestCa ca{"tenant"};
    pki::SigningKey map_key = pki::SigningKey::generate();

    TenantTrust trust(std::vector<Barred> barred = {}) const {
        TenantTrust made{id, kTrustDomain, server_name, {}, std::move(barred)};
        made.map_keys.push_back(*pki::VerifyKey::from_bytes(map_key.public_key().bytes()));
        return made;
    }
    http::TlsServerOptions tls(long valid_for = 3600) const {
        const IssuedCert cert =
            ca.issue({.name = "relay", .san = "DNS:" + server_name, .valid_to = valid_for});
        return {cert.cert_pem + ca.pem(),
                SecretText(cert.key_pem),
                {ca.pem()},
                http::ClientCert::Required};
    }
    IssuedCert node(int number) const { return node(number, id); }
    IssuedCert node(int number, const std::string& tenant_id) const {
        return ca.issue({.name = "node",
                         .san = fmt::format("URI:spiffe://{}/tenant/{}/node/{}", kTrustDomain,
                                            tenant_id, node_uuid(number)),
                         .eku = "clientAuth"});
    }
    wire::RelayGrant grant(int node, const Key& key, WallTime now,
                           const char* network = kNetwork1) const {
        wire::RelayGrant made;
        made.tenant_id = id;
        made.node_id = node_uuid(node);
        made.network_id = network;
        made.wireguard_public_key = key.text();
        made.issued_at = now;
        made.expires_at = now + std::chrono::hours(24);
        return made;
    }
    std::string sign(const wire::RelayGrant& grant) const {
        const auto bytes = pki::sign_bytes(map_key, wire::encode(grant));
        const ByteView payload = as_bytes(bytes.payload);
        return wire::encode(
            wire::SignedBytes{bytes.kid, {payload.begin(), payload.end()}, bytes.signature});
    }
};

}  // namespace cvlan::relay::test
