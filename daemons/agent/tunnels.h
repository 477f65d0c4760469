// SPDX-License-Identifier: Apache-2.0
#pragma once

// From what a node knows to what charon should hold for its networks over IPsec (ike/wanted.h does
// the work), and from what charon has back to a peer. Pure.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "daemons/agent/identity.h"
#include "daemons/agent/moves.h"
#include "daemons/agent/relay_seam.h"
#include "ike/rounds.h"
#include "ike/wanted.h"
#include "kernel-wg/keys.h"
#include "model/local.h"
#include "model/network_map.h"
#include "reach/way.h"

namespace cvlan::agent {

// All of its nodes are over IPsec, and look for paths to each other's port of it.
inline bool is_ipsec(const model::MapNetwork& network) {
    return network.data_plane == model::wire::DataPlane::Ipsec;
}

// Peers in a health report, as many as a controller takes.
inline constexpr size_t kMostTold = 1000;

// By which a peer knows us in a check; nothing where the network is not one over IPsec.
std::optional<reconcile::DeviceKey> tunnel_key(const Identity& identity,
                                               const model::NetworkMap& map,
                                               const std::string& network_id);

// Where a peer has answered a check, by device and key (reach/paths.h).
using TunnelPaths = std::map<std::pair<std::string, wg::PublicKey>, Endpoint>;

struct TunnelsFrom {
    const Identity& identity;
    const model::NetworkMap& map;
    const reach::Underlay& underlay;
    const state::AgentState& agent;  // the networks' indexes
    ike::Times times{};
    const TunnelPaths& paths;
    // Where a network's peers are; without it by the map alone.
    std::function<const Moves::Network*(const std::string& network_id)> places{};
};
// Adds this identity's. A network without an index here is left to desired_state to refuse.
Result<void> want_tunnels(const TunnelsFrom& from, ike::Wanted& want);

// The SAs of a peer in a network, as they stand; the newest of several.
struct TunnelSeen {
    const vici::IkeSa* ike = nullptr;
    const vici::ChildSa* child = nullptr;  // none: it idles, or could not be set up
};
// Of a round, to look many peers up in; without a status it knows none.
class TunnelsSeen {
public:
    explicit TunnelsSeen(std::shared_ptr<const ike::Status> status);
    TunnelSeen of(const std::string& peer_node_id, const std::string& network_id) const;
    // One tunnel and no second one, in whatever state: charon sends by the one that it has made
    // last, and the peer may have given that up.
    bool is_single(const std::string& peer_node_id, const std::string& network_id) const;
    // It is being called, and has not let us in yet.
    bool is_called(const std::string& peer_node_id) const;

private:
    std::shared_ptr<const ike::Status> status_;
    std::unordered_multimap<std::string_view, const vici::IkeSa*> established_{};  // by connection
    std::unordered_set<std::string_view> called_{};                                // likewise
};

// Of a peer, for people and for the controller.
struct PathTold {
    model::local::PathKind kind = model::local::PathKind::None;
    std::optional<int64_t> rtt_ms{};
    std::optional<RelayName> relay{};
};
model::wire::PeerPath told_as(model::local::PathKind kind);

// "AES_GCM_16-256, ECP_384"
std::string cipher_text(const TunnelSeen& tunnel);

}  // namespace cvlan::agent
