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

// The node's own part of a network.
struct NetworkContext {
    uint32_t index = 0;  // below kIndexes, kept in the agent's state
    DeviceKey key;
    uint16_t listen_port = 0;
    std::optional<uint32_t> mtu{};  // instead of the map's
    bool ipsec = false;             // an xfrm interface instead of a WireGuard device
    std::map<wg::PublicKey, PeerContext> peers{};
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
