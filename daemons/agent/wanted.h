// SPDX-License-Identifier: Apache-2.0
#pragma once

// From what a node knows to what the kernel should hold: reconcile's own function does the work,
// here it gets the node's part: keys, ports, indexes, and the endpoint of each peer that reach
// chose. Pure but for the tries, which it only reads.

#include <functional>
#include <map>
#include <utility>

#include "daemons/agent/identity.h"
#include "daemons/agent/moves.h"
#include "model/network_map.h"
#include "reach/candidates.h"
#include "reconcile/desired.h"

namespace cvlan::agent {

// The tries at all peers, by device and key, and the endpoints they ask to be written now.
class Paths {
public:
    using Key = std::pair<std::string, wg::PublicKey>;

    // Looks at the peers of `have`; true if some endpoint is to be written. One that `has_checks`
    // is only watched: its paths are the Pathfinder's. keep_only() forgets those that are wanted no
    // more.
    bool look(const model::MapNetwork& network, const reach::Underlay& underlay,
              const wg::Device& have, const reach::Moment& now,
              const std::function<bool(const Key&)>& has_checks);
    // The choices have been written, or are not to be made this time.
    void settle() { chosen_.clear(); }
    const Endpoint* chosen(const Key& key) const;
    // Where a peer was last heard from: what it gets where the kernel has lost it.
    const Endpoint* good(const Key& key) const;
    bool is_live(const Key& key, const reach::Moment& now) const;
    // Some peer is without a path and is being tried: look again soon.
    bool is_searching(const reach::Moment& now) const;
    void keep_only(const reconcile::Desired& want);

private:
    std::map<Key, reach::Candidates> tries_;
    std::map<Key, Endpoint> chosen_;
};

struct WantedFrom {
    const Identity& identity;
    const model::NetworkMap& map;
    const reach::Underlay& underlay;
    const Paths& paths;
    Moves& moves;
    const reconcile::Observed& seen;  // of the last round
    std::function<Moves::Tunnel(const std::string& network_id, const model::MapPeer&, Carrier)>
        tunnel{};
    BootTime now{};
    bool may_move = false;  // peers from one device to the other
    uint16_t mtu = 0;       // 0: the map's
};
// Networks without keys here, and those without an index, are left to desired_state to refuse.
reconcile::NodeConfig node_config(const WantedFrom& from, state::AgentState& agent);

}  // namespace cvlan::agent
