// SPDX-License-Identifier: Apache-2.0
#pragma once

// What goes into and comes out of the Store's verbs, beyond the nouns of model/objects.h.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/objects.h"
#include "model/token_claims.h"
#include "store/event.h"
#include "store/listing.h"
#include "store/map_inputs.h"

namespace cvlan::store {

enum class KeyPurpose { Token, Map };

struct SigningKeyRow {
    KeyPurpose purpose{};
    std::string kid;
    std::string public_key;  // base64; the private half is a file
};

struct NewTenant {
    std::string id;  // made by the caller, who made the tenant's key files by it
    std::string name;
    std::vector<SigningKeyRow> keys;
    std::string description{};
    model::Quotas quotas{};
};

// What is absent stays as it is.
struct TenantChange {
    std::optional<std::string> name{};
    std::optional<std::string> description{};
    std::optional<model::Quotas> quotas{};
    std::optional<bool> suspended{};
};

struct Usage {
    int64_t networks = 0;
    std::map<model::NodeState, int64_t> nodes;
    int64_t tokens = 0;
    int64_t users = 0;  // accounts of both kinds
    model::Quotas quotas;
    struct Traffic {
        std::string network_id;
        std::string network_name;
        int64_t received = 0;  // bytes
        int64_t sent = 0;
    };
    std::vector<Traffic> traffic;  // by network, of those that have carried something
    Traffic carried;               // by all, with those that are gone; of no network
};

struct NewNetwork {
    std::string tenant_id;
    std::string name;
    std::optional<Prefix> ipv4;
    std::optional<Prefix> ipv6;
    bool ipv6_auto = false;  // a random ULA /64
    uint16_t mtu = 1420;
    model::DataPlane data_plane = model::DataPlane::Wireguard;
    model::CryptoProfile crypto_profile = model::CryptoProfile::Default;
    std::vector<std::string> ipsec_tags{};  // names
    model::Topology topology = model::Topology::Mesh;
};

// What is absent stays as it is.
struct NetworkChange {
    std::optional<std::string> name{};
    std::optional<model::DataPlane> data_plane{};
    std::optional<model::CryptoProfile> crypto_profile{};
    std::optional<std::vector<std::string>> ipsec_tags{};
    std::optional<model::Topology> topology{};
};

struct CertificateRow {
    std::string serial;  // hex
    WallTime expires_at{};
};
// Signs a certificate for the node, whose id is known only inside the transaction. It runs there:
// it must be quick and must not call the store.
using IssueCertificate = std::function<Result<CertificateRow>(const Key& node)>;

// A token whose signature was verified, and the key that the node made for the network.
struct Joining {
    model::TokenClaims token;
    std::string wireguard_key;  // base64
    uint16_t listen_port = 0;
    std::vector<Endpoint> endpoints;
};

struct Enrolment {
    Joining joining;
    std::string tls_key_hash;  // of the request's key, hex
    std::string name;  // empty: made from the host's name, with a number where that is taken
    model::Inventory inventory;
};

struct Enrolled {
    model::Node node;
    model::Network network;        // the token's; of a relay none, as the next
    model::Membership membership;  // the node's in it
    Revision revision = 0;
    bool is_new = false;  // false: the node came back
};

struct Renewal {
    std::string used_serial;  // of the certificate the request came with
    std::string tls_key_hash;
    CertificateRow certificate;
};

// What decides whether a node is served.
struct Standing {
    model::NodeState state{};
    std::string serial{}, previous_serial{};  // of its certificates
    std::string key_hash{}, previous_key_hash{};
    bool was_seen = false;      // since it enrolled
    bool is_suspended = false;  // its tenant
};

struct Seen {
    Key node;
    WallTime at{};
};

// What is absent stays as it is.
struct NodeChange {
    std::optional<std::string> name{};
    std::optional<std::vector<std::string>> tags{};  // all it is to have, by name
    std::optional<WallTime> key_expires_at{};
    bool never_expires = false;
};

// A stock WireGuard client in a network.
struct NewExternal {
    std::string tenant_id;
    std::string name;
    std::string network_id;
    std::string wireguard_key;  // base64
    std::vector<std::string> tags{};
};

struct NodeEndpoints {
    std::string network_id;
    uint16_t listen_port = 0;
    std::vector<Endpoint> endpoints;
    std::string relay_id{};  // its home, a relay of its tenant; empty: none
};

// Over all tenants.
struct Counts {
    int64_t tenants = 0;
    int64_t networks = 0;
    std::map<model::NodeState, int64_t> nodes;  // absent: none
};

}  // namespace cvlan::store
