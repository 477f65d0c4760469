// SPDX-License-Identifier: Apache-2.0
// Networks over IPsec: charon gets its connections beside the rounds, on a thread of its own; here
// it is told what is wanted, and what it has is shown.

#include "base/log.h"
#include "daemons/agent/agent.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

// Nobody speaks with charon on a machine that has never had a network over IPsec.
void Agent::follow_tunnels() {
    auto want = std::make_shared<ike::Wanted>();
    want->first_if_id = reconcile::kIfIdBase;
    want->if_ids = reconcile::kIndexes;
    tunnel_trouble_.clear();
    has_ipsec_ = false;
    for (auto& node : nodes_) {
        const auto map = node->map();
        if (!map || !is_wanted_up()) continue;
        for (const auto& [id, network] : map->networks)
            has_ipsec_ = has_ipsec_ || is_ipsec(network);
        const TunnelsFrom from{
            node->identity(), *map, underlay_, agent_, {.rekey = parts_.config.ipsec_rekey}};
        if (auto wanted = want_tunnels(from, *want); !wanted)
            tunnel_trouble_ = wanted.error().message;
    }
    if (has_ipsec_ && !keeper_ && parts_.make_keeper)
        keeper_ = parts_.make_keeper([this, alive = std::weak_ptr<bool>(alive_)] {
            parts_.loop.post([this, alive] {
                if (alive.lock()) report();
            });
        });
    if (keeper_) keeper_->set(std::move(want));
}

std::shared_ptr<const ike::Status> Agent::tunnels() const {
    return keeper_ ? keeper_->status() : nullptr;
}

void Agent::tunnel_health(std::vector<local::HealthItem>& items) const {
    if (!is_wanted_up() || !has_ipsec_) return;
    if (!tunnel_trouble_.empty()) items.push_back({"IPSEC", "error", tunnel_trouble_});
    const auto status = tunnels();
    if (!status) return;
    if (!status->trouble.empty())
        items.push_back(
            {"IPSEC", "error",
             "charon is not to be had, so nothing new comes up over IPsec: " + status->trouble});
    for (const std::string& problem : status->problems)
        items.push_back({"IPSEC", "error", problem});
}

void Agent::show_tunnel(const std::string& network_id, const TunnelsSeen& tunnels,
                        local::StatusPeer& peer) const {
    peer.data_plane = local::DataPlane::Ipsec;
    const TunnelSeen seen = tunnels.of(peer.id, network_id);
    if (seen.ike)
        if (auto address = Address::parse(seen.ike->remote_host))
            peer.endpoint = Endpoint{*address, seen.ike->remote_port}.text();
    if (!seen.child) return;
    peer.path = local::PathKind::Direct;
    peer.cipher = cipher_text(seen);
    peer.rx_bytes = static_cast<int64_t>(seen.child->in.bytes);
    peer.tx_bytes = static_cast<int64_t>(seen.child->out.bytes);
    if (seen.child->install_time) {
        peer.sa_seconds = seen.child->install_time->count();
        peer.last_handshake = parts_.clock.now() - *seen.child->install_time;
    }
    if (seen.child->rekey_time)
        peer.rekey_in_seconds = std::max<int64_t>(seen.child->rekey_time->count(), 0);
}

void Agent::tunnel_paths(const std::string& network_id, const model::MapNetwork& network,
                         std::vector<model::wire::PeerHealth>& told) const {
    const TunnelsSeen seen_now(tunnels());
    for (const auto& [node_id, peer] : network.peers) {
        if (told.size() == kMostTold) return;
        const TunnelSeen seen = seen_now.of(node_id, network_id);
        model::wire::PeerHealth& one = told.emplace_back();
        one.network_id = network_id;
        one.node_id = node_id;
        one.path = seen.child ? model::wire::PeerPath::Direct : model::wire::PeerPath::None;
        if (!seen.child) continue;
        if (auto address = Address::parse(seen.ike->remote_host))
            one.endpoint = Endpoint{*address, seen.ike->remote_port}.text();
    }
}

}  // namespace cvlan::agent
