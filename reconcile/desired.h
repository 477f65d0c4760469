// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel of this node should hold: a pure function of the map and of the few things the
// node knows itself. A set: each section is sorted by its key and has each key once.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/network_map.h"
#include "reconcile/kind_address.h"
#include "reconcile/kind_link.h"
#include "reconcile/kind_route.h"
#include "reconcile/kind_rule.h"
#include "reconcile/kind_wireguard.h"
#include "reconcile/marks.h"

namespace cvlan::reconcile {

// What the agent knows of a peer. Without one the first endpoint of the map is taken, no keepalive.
struct PeerContext {
    std::optional<Endpoint> endpoint{};  // the candidate to use; see WgPeer::endpoint
    bool move_endpoint = false;          // even where the kernel has learnt another
    uint16_t keepalive_seconds = 0;
};

// Of a network's two devices. A network has both while some of its peers are reached by the one and
// some by the other.
enum class Carrier { Wireguard, Ipsec };

// Where a peer's own addresses are routed to. It may be on the WireGuard device too, so that what
// it still sends there is taken.
struct PeerPlace {
    Carrier route = Carrier::Wireguard;
    bool on_wireguard = false;
    auto operator<=>(const PeerPlace&) const = default;
};

// The node's own part of a network.
struct NetworkContext {
    uint32_t index = 0;  // below kIndexes, kept in the agent's state
    DeviceKey key;
    uint16_t listen_port = 0;
    std::optional<uint32_t> mtu{};  // instead of the map's
    bool ipsec = false;             // its prefixes go to an xfrm interface, not to WireGuard
    bool has_both = false;          // the other device stands beside it
    std::map<std::string, PeerPlace> places{};  // by node id; of others with `has_both`: as `ipsec`
    std::map<wg::PublicKey, PeerContext> peers{};

    bool has_wireguard() const { return has_both || !ipsec; }
    bool has_xfrm() const { return has_both || ipsec; }
    PeerPlace place_of(const std::string& node_id) const;
};

struct NodeConfig {
    std::map<std::string, NetworkContext> networks{};  // by network id
    bool down = false;                                 // wants nothing: all that is ours goes
    std::vector<Address> underlay{};                   // its own: a route may not hold one
    std::string netns{};                               // of all its links; see Link
};

// A network of this node of which nobody knows what it should be: its map was lost.
struct LeftAlone {
    std::string device;
    std::optional<uint32_t> index{};
};

struct Desired {
    std::vector<Link> links;
    std::vector<DeviceAddress> addresses;
    std::vector<WgDevice> wireguard;
    std::vector<DeviceRoute> routes;
    std::vector<PolicyRule> rules;
    // What of the map can not be programmed and why, a line each. The rest is not affected.
    std::vector<std::string> refused;
    std::vector<LeftAlone> left_alone;  // what stands of these is left standing

    bool empty() const { return links.empty(); }
    // Joins what another identity of this node wants. If both want the same device or index, the
    // other is refused as a whole.
    void add(Desired other);
};

Desired desired_state(const model::NetworkMap& map, const NodeConfig& self);

}  // namespace cvlan::reconcile
