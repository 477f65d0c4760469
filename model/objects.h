// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller's nouns, as plain values. Ids are UUIDv7 in canonical lower case; names are RFC
// 1123 labels. The wire's forms of these are generated from api/openapi.yaml into model/wire.h.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "model/choices.h"

namespace cvlan::model {

// At most so many; none is no limit.
struct Quotas {
    std::optional<int64_t> networks{}, nodes{}, users{}, tokens{};
};

struct Tenant {
    std::string id;
    std::string name;
    int64_t revision = 0;  // of the last change in the tenant; maps and deltas are numbered by it
    WallTime created_at{};
    std::string description{};
    bool suspended = false;  // its nodes are refused and nothing enrols; tunnels stay up
    Quotas quotas{};
    int64_t own_revision = 0;  // of the last change of these fields
};

// What holds for a whole tenant. These are the defaults.
struct Settings {
    std::string tenant_id;
    bool device_approval = false;  // a new node is PENDING until it is approved
    std::optional<std::chrono::seconds> node_key_life{};  // after it a node must enrol again
    MapExpiry map_expiry = MapExpiry::Keep;
    int64_t audit_retention_days = 90;
    int64_t revision = 0;
};

struct Network {
    std::string tenant_id;
    std::string id;
    std::string name;
    std::optional<Prefix> ipv4;
    std::optional<Prefix> ipv6;
    uint16_t mtu = 1420;
    DataPlane data_plane = DataPlane::Wireguard;
    int64_t revision = 0;
    int64_t node_count = 0;
    WallTime created_at{};
    CryptoProfile crypto_profile = CryptoProfile::Default;
    std::vector<std::string> ipsec_tags{};  // names; of a meaning where the data plane is Auto
    Topology topology = Topology::Mesh;
};

// A tunnel inside itself: the overlay's own addresses are no way to reach it. A node whose underlay
// lies in there (F80) can not know that when it enrols.
void leave_out_overlay(std::vector<Endpoint>& endpoints, const Network& network);

struct Token {
    std::string tenant_id;
    std::string id;
    std::string network_id;  // empty where the role is Relay
    TokenRole role = TokenRole::Node;
    std::string nonce_hash;  // hex SHA-256 of the nonce; the token itself is never stored
    int64_t uses_total = 1;
    int64_t uses_left = 1;
    WallTime created_at{};
    WallTime expires_at{};
    bool revoked = false;
    int64_t revision = 0;
    std::vector<std::string> tags{};  // names, for its nodes
    std::optional<std::chrono::milliseconds> ephemeral_after{};
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
    int64_t revision = 0;
};
enum class TokenState { Usable, Spent, Expired, Revoked };
TokenState state_of(const Token& token, WallTime now);

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

// Rows hold the numbers. Pending: enrolled, and in nobody's map until it is approved.
enum class NodeState { Active, Expired, Revoked, Pending };

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
    std::string relay_id{};  // the node's home relay by its own word, or empty
    bool ipsec = false;      // the node has a tag that the network's ipsec_tags name
    bool gateway = false;    // the node is the network's vrouter, by a Vrouter that names both
    std::vector<std::string> routes{};  // of that: prefixes behind it
    bool operator==(const Membership&) const = default;
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
    std::string owner{};   // of the token that it enrolled with
    int64_t revision = 0;  // of its last change; what is cached about it is void when this moves
    std::vector<std::string> tags{};  // names
    bool external = false;            // a stock WireGuard client: no certificate, no map
    std::optional<std::chrono::milliseconds> ephemeral_after{};  // deleted when away for so long
    std::optional<WallTime> key_expires_at{};                    // when it must enrol again
    bool operator==(const Node&) const = default;
};

// Rows hold the numbers. What is alike of several nouns: a name, and what it points to.
enum class ObjectKind { Tag, Group, Region, Relay, Vrouter };
enum class Relation { OwnerUser, OwnerGroup, MemberUser, MemberNode, Region, Node, Network };

inline constexpr uint16_t kStunPort = 3478;

struct Object {
    std::string tenant_id;
    std::string id{};
    ObjectKind kind{};
    std::string name;
    std::string description;
    std::map<Relation, std::vector<std::string>> links{};  // ids, in their order
    std::vector<std::string> endpoints{};                  // of a relay, as the next two
    uint16_t stun_port = kStunPort;
    std::vector<std::string> routes{};       // of a vrouter: prefixes
    std::optional<WallTime> last_seen_at{};  // of the node it runs on; only where it is read
    int64_t revision = 0;
    WallTime created_at{};
};

// A document of rules with its history.
struct Policy {
    std::string tenant_id;
    std::string id{};
    std::string name;
    std::string description;
    std::string source;
    int64_t number = 0;                      // of the newest revision, whose source this is
    std::optional<int64_t> active_number{};  // of the one in force
    int64_t revision = 0;
    WallTime created_at{};
};
struct PolicyRevision {
    int64_t number = 0;
    std::string source;
    WallTime created_at{};
    std::string created_by;
    bool active = false;
};

// An RFC 1123 label: 1-63 of a-z, 0-9 and '-', neither first nor last a '-'. `field` names it in
// the error.
Result<void> check_name(std::string_view field, std::string_view name);
// A WireGuard public key: 32 bytes, canonical base64, not of low order. The error names no field.
Result<void> check_wireguard_key(std::string_view text);

}  // namespace cvlan::model
