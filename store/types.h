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

namespace cvlan::store {

using Revision = int64_t;                  // of a tenant: rises with each of its events
using Scope = std::optional<std::string>;  // a tenant's id; none is the operator's view of all

struct Key {
    std::string tenant_id;
    std::string id;
};

// Who changes something, and by which request: what the audit says of each change.
struct Cause {
    std::string actor = "system";  // "operator:<uid>", "user:<id>", "node:<id>", "anonymous", …
    std::string source{};          // the address it came from, or "unix"
    std::string request_id{};
};

struct Filter {
    Scope tenant{};
    std::optional<std::string> name{};        // exactly this one
    std::optional<std::string> network_id{};  // of nodes and tokens
    std::optional<std::string> owner{};       // likewise: "user:<id>"
    int page_size = 100;                      // 1 to 1000
    std::string page_token{};                 // empty: the first page
};

template <class T>
struct Page {
    std::vector<T> items;  // oldest first
    std::string next_page_token;
};

// Rows hold the numbers: a new one goes last.
enum class EventKind {
    TenantCreated,
    TenantRenamed,
    TenantDeleted,
    NetworkCreated,
    NetworkDeleted,
    TokenCreated,
    TokenRevoked,
    TokenDeleted,
    NodeEnrolled,  // new, or come back
    NodeJoined,    // a further network
    NodeRenamed,
    NodeExpired,
    NodeRevoked,
    NodeDeleted,
    CertificateRenewed,
    EndpointsChanged,
    NetworkRenamed,
    AccountCreated,
    AccountChanged,  // its role, or whether it is disabled
    AccountDeleted,
    AccountInvited,  // a link that sets its password was made
    PasswordSet,
    SessionStarted,  // of the account; this one and the next stand in the audit alone
    SessionEnded,
    AccessTokenCreated,
    AccessTokenDeleted,
    TokenKeyCreated,
    TokenKeyDeleted,
};

struct Event {
    std::string tenant_id;
    Revision revision = 0;
    EventKind kind{};
    std::string object_id;                 // of the tenant, network, token or node
    std::vector<std::string> network_ids;  // whose members are touched
    WallTime at{};
};

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
};

struct NewNetwork {
    std::string tenant_id;
    std::string name;
    std::optional<Prefix> ipv4;
    std::optional<Prefix> ipv6;
    bool ipv6_auto = false;  // a random ULA /64
    uint16_t mtu = 1420;
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
    model::Network network;        // the token's
    model::Membership membership;  // the node's in it
    Revision revision = 0;
    bool is_new = false;  // false: the node came back
};

struct Renewal {
    std::string used_serial;  // of the certificate the request came with
    std::string tls_key_hash;
    CertificateRow certificate;
};

struct Seen {
    Key node;
    WallTime at{};
};

struct NodeEndpoints {
    std::string network_id;
    uint16_t listen_port = 0;
    std::vector<Endpoint> endpoints;
};

// Over all tenants.
struct Counts {
    int64_t tenants = 0;
    int64_t networks = 0;
    std::map<model::NodeState, int64_t> nodes;  // absent: none
};

// Only nodes that are ACTIVE.
struct MapMember {
    std::string node_name;
    model::TokenRole role{};
    model::Membership membership;
};
struct MapInputs {
    Revision revision = 0;
    std::vector<model::Network> networks;
    std::vector<MapMember> members;
};

}  // namespace cvlan::store
