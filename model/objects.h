// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller's nouns, as plain values. Ids are UUIDv7 in canonical lower case; names are RFC
// 1123 labels. The wire's forms of these are generated from api/openapi.yaml into model/wire.h.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"

namespace cvlan::model {

struct Tenant {
    std::string id;
    std::string name;
    int64_t revision = 0;  // of the tenant's last change; maps and deltas are numbered by it
    WallTime created_at{};
};

enum class MapExpiry { Keep, Drop };

struct Network {
    std::string tenant_id;
    std::string id;
    std::string name;
    std::optional<Prefix> ipv4;
    std::optional<Prefix> ipv6;
    uint16_t mtu = 1420;
    int64_t revision = 0;
    int64_t node_count = 0;
    WallTime created_at{};
};

enum class TokenRole { Node, Vrouter, Relay };

struct Token {
    std::string tenant_id;
    std::string id;
    std::string network_id;
    TokenRole role = TokenRole::Node;
    std::string nonce_hash;  // hex SHA-256 of the nonce; the token itself is never stored
    int64_t uses_total = 1;
    int64_t uses_left = 1;
    WallTime created_at{};
    WallTime expires_at{};
    bool revoked = false;
    std::string owner{};         // the account that made it, "user:<id>", or empty
    std::string token_key_id{};  // the key that made it offline; empty: the controller made it
};

// The public half of a key that makes tokens offline.
struct TokenKey {
    std::string tenant_id;
    std::string id;
    std::string name;
    std::string kid;
    std::string public_key;  // base64 of Ed25519's 32 bytes
    WallTime created_at{};
};

// What a node tells about its machine. All of it is the node's word: show it, decide nothing by it.
struct Inventory {
    std::string hostname;
    std::string os;
    std::string kernel;
    std::string architecture;
    std::string agent_version;
    std::vector<std::string> mac_addresses;
    bool operator==(const Inventory&) const = default;
};

enum class NodeState { Active, Expired, Revoked };

// A node's place in one network.
struct Membership {
    std::string network_id;
    std::string network_name{};  // where the node was read as a whole; maps have the network itself
    std::string node_id;
    std::string wireguard_key;  // base64 of the public key
    std::optional<Address> ipv4;
    std::optional<Address> ipv6;
    uint16_t listen_port = 0;
    std::vector<Endpoint> endpoints;  // as the node reported them, and as the controller saw it
    int64_t revision = 0;
};

struct Node {
    std::string tenant_id;
    std::string id;
    std::string name;
    NodeState state = NodeState::Active;
    TokenRole role = TokenRole::Node;
    std::string certificate_serial;     // hex, of the one certificate that is current
    std::string previous_serial;        // still good until the node has used its renewed one
    std::string tls_key_hash;           // hex SHA-256 of the SubjectPublicKeyInfo
    std::string previous_tls_key_hash;  // as previous_serial
    WallTime certificate_expires_at{};
    Inventory inventory;
    std::vector<Membership> memberships;
    WallTime created_at{};
    std::optional<WallTime> last_seen_at;
    std::string owner{};  // of the token that it enrolled with
    int64_t revision =
        0;  // of the node's last change; what is cached about it is void when this moves
};

// An RFC 1123 label: 1-63 of a-z, 0-9 and '-', neither first nor last a '-'. `field` names it in
// the error.
Result<void> check_name(std::string_view field, std::string_view name);

}  // namespace cvlan::model
