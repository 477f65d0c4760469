// SPDX-License-Identifier: Apache-2.0
#pragma once

// The map of one node, as the node understands it: immutable, checked, all that it needs and no
// secret of others. Made from verified fragments (model/wire.h); reconcile turns it into kernel
// state.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "model/connection.h"
#include "model/wire.h"

namespace cvlan::model {

struct MapPeer {
    std::string node_id;
    std::string name;                 // an RFC 1123 label
    std::vector<Address> addresses;   // overlay, each inside its network
    std::string wireguard_key;        // base64, 32 bytes; empty where the peer has none
    std::vector<Endpoint> endpoints;  // underlay candidates, best guess first
    std::string relay_id;             // its home relay, one of the map's; empty: none
    bool asks_for_ipsec = false;      // where the network's data plane is AUTO
    bool gateway = false;             // the network's vrouter: one at most has this
    std::vector<Prefix> routes{};     // of that: what is behind it
};

// A relay of the tenant. Its TLS shows the certificate of the node `node_id`.
struct MapRelay {
    std::string id;
    std::string name;  // an RFC 1123 label
    std::string region_id;
    std::string region;  // its name, likewise; empty: in none
    std::string node_id;
    std::vector<Endpoint> endpoints;  // of its TLS, at least one
    uint16_t stun_port = 3478;        // UDP, at each of these addresses
};

struct MapNetwork {
    std::string id;
    std::string name;
    std::optional<Prefix> ipv4;
    std::optional<Prefix> ipv6;
    uint16_t mtu = 1420;
    wire::DataPlane data_plane = wire::DataPlane::Wireguard;
    wire::CryptoProfile crypto_profile = wire::CryptoProfile::Default;
    wire::Topology topology = wire::Topology::Mesh;
    MapPeer self;                             // this node's own place in it
    std::map<std::string, MapPeer> peers;     // by node id, without self: with whom it has tunnels
    std::map<std::string, MapPeer> behind{};  // of a HUB, likewise: reached through the vrouter
    std::map<std::string, MapConnection> connections{};  // by id; only where self is the gateway

    // The network's vrouter, where it is another node. nullptr: none.
    const MapPeer* gateway() const;
    // What is reached through that: its routes, and in a HUB the network itself.
    std::vector<Prefix> beyond_gateway() const;

    // Both nodes come to the same answer.
    bool is_over_ipsec(const MapPeer& peer) const {
        if (data_plane == wire::DataPlane::Auto) return self.asks_for_ipsec || peer.asks_for_ipsec;
        return data_plane == wire::DataPlane::Ipsec;
    }
};

struct NetworkMap {
    std::string tenant_id;
    std::string node_id;
    int64_t epoch = 0;
    int64_t revision = 0;
    WallTime issued_at{};
    WallTime expires_at{};
    wire::MapExpiry expiry = wire::MapExpiry::Keep;
    std::map<std::string, MapNetwork> networks;  // by id
    std::map<std::string, MapRelay> relays;      // of the whole tenant, by id
    // What was left out and why ("peer <id>: address 10.9.0.1 is outside 10.1.0.0/24"): one bad
    // object never spoils the rest.
    std::vector<std::string> refused;
};

// Puts a map together. Fragments of networks that are not in the head or of another tenant,
// tombstones and fragments that fail a check are left out. A network whose own membership is
// missing is left out with a line. `revision` is that of the newest answer, at least the head's.
NetworkMap build_map(const wire::MapHead& head, const std::vector<wire::MapFragment>& fragments,
                     int64_t revision);

// The RELAY fragments among them that are of this tenant.
void place_relays(const std::vector<wire::MapFragment>& fragments, const std::string& tenant_id,
                  std::map<std::string, MapRelay>& relays, std::vector<std::string>& refused);
// The CONNECTION fragments among them, of networks whose gateway this node is, each with the
// prefixes that its site reaches. After peers and gateways.
void place_connections(const std::vector<wire::MapFragment>& fragments, NetworkMap& map);

}  // namespace cvlan::model
