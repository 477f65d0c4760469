// SPDX-License-Identifier: Apache-2.0
// Networks over IPsec: what is wanted of charon, beside the rounds, and what cvlanctl asks of it.

#include <algorithm>

#include "base/log.h"
#include "daemons/agent/agent.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

std::optional<Endpoint> remote_of(const TunnelSeen& seen) {
    if (!seen.ike) return std::nullopt;
    const auto address = Address::parse(seen.ike->remote_host);
    if (!address) return std::nullopt;
    return Endpoint{*address, seen.ike->remote_port};
}

}  // namespace

// As far as was seen last. The end that has begun a tunnel over IPsec has it last, and the other
// knows of that when something comes by it; of WireGuard's both have it once one shows.
Moves::Tunnel Agent::tunnel(const TunnelsSeen& tunnels, const std::string& network_id,
                            const model::MapPeer& peer, Carrier carrier) const {
    if (carrier == Carrier::Ipsec) {
        const TunnelSeen seen = tunnels.of(peer.node_id, network_id);
        if (!seen.child) return {};
        const bool is_whole = seen.ike->initiator || seen.child->in.packets > 0;
        return {is_whole && tunnels.is_single(peer.node_id, network_id), seen.child->in.bytes};
    }
    const auto key = wg::PublicKey::parse(peer.wireguard_key);
    const auto* device = last_.wireguard_device(reconcile::device_name(network_id));
    if (!key || !device) return {};
    const auto found = std::find_if(device->peers.begin(), device->peers.end(),
                                    [&](const wg::Peer& one) { return one.public_key == *key; });
    if (found == device->peers.end()) return {};
    return {paths_.is_live({device->name, *key}, moment()), found->rx_bytes};
}

void Agent::follow_tunnels() {
    auto want = std::make_shared<ike::Wanted>();
    want->first_if_id = reconcile::kIfIdBase;
    want->if_ids = reconcile::kIndexes;
    bool is_wanted = false;
    std::string trouble;
    if (pathfinder_)
        std::erase_if(ipsec_.paths(), [this](const auto& one) {
            return !pathfinder_->speaks_checks(one.first);  // it is in the map no more
        });
    for (auto& node : nodes_) {
        const auto map = node->map();
        if (!map || !is_wanted_up()) continue;
        for (const auto& [id, network] : map->networks) is_wanted = is_wanted || is_ipsec(network);
        const TunnelsFrom from{node->identity(),
                               *map,
                               underlay_,
                               agent_,
                               {.rekey = parts_.config.ipsec_rekey},
                               ipsec_.paths(),
                               [this](const std::string& id) { return moves_.of(id); }};
        if (auto wanted = want_tunnels(from, *want); !wanted) trouble = wanted.error().message;
    }
    is_wanted = is_wanted || !want->tunnels.empty() || !trouble.empty();
    ipsec_.follow(std::move(want), is_wanted, std::move(trouble));
}

// What charon and the kernel have of a tunnel is to a path what WireGuard's peer is.
Pathfinder::Sighted Agent::sighted(const TunnelsSeen& tunnels, const std::string& network_id,
                                   const model::MapPeer& peer, const wg::PublicKey& key) const {
    const TunnelSeen seen = tunnels.of(peer.node_id, network_id);
    Pathfinder::Sighted one{key};
    const auto& paths = ipsec_.paths();
    const auto path = paths.find({reconcile::xfrm_device_name(network_id), key});
    if (path != paths.end()) one.seen.endpoint = path->second;
    if (auto remote = remote_of(seen)) {
        if (remote->port == ike::kPort) remote->port = ike::kNatPort;
        one.seen.endpoint = remote;
    }
    one.seen.is_called = tunnels.is_called(peer.node_id);
    one.is_live = seen.child != nullptr;
    if (!seen.child) return one;
    one.seen.rx_bytes = seen.child->in.bytes;
    one.seen.tx_bytes = seen.child->out.bytes;
    return one;
}

void Agent::tell_of_tunnels() {
    const TunnelsSeen seen_now(ipsec_.status());
    for (const auto& node : nodes_) {
        const auto map = node->map();
        if (!map || !is_wanted_up()) continue;
        for (const auto& [id, network] : map->networks) {
            const std::string device = reconcile::xfrm_device_name(id);
            if (!is_ipsec(network) || !pathfinder_->follows(device)) continue;
            std::vector<Pathfinder::Sighted> peers;
            for (const auto& [node_id, peer] : network.peers)
                if (const auto key = wg::PublicKey::parse(peer.wireguard_key))
                    peers.push_back(sighted(seen_now, id, peer, *key));
            pathfinder_->look(device, peers);
        }
    }
}

// charon calls the peer just now. Where the way to it has closed meanwhile, checks open it before
// charon calls again, which is a second later.
void Agent::packet_waits(const Address& to) {
    if (!pathfinder_) return;
    const TunnelsSeen seen_now(ipsec_.status());
    for (const auto& node : nodes_) {
        const auto map = node->map();
        if (!map || !is_wanted_up()) continue;
        for (const auto& [id, network] : map->networks) {
            if (!is_ipsec(network)) continue;
            for (const auto& [node_id, peer] : network.peers) {
                if (std::find(peer.addresses.begin(), peer.addresses.end(), to) ==
                    peer.addresses.end())
                    continue;
                const auto key = wg::PublicKey::parse(peer.wireguard_key);
                if (!key) continue;
                auto one = sighted(seen_now, id, peer, *key);
                one.seen.is_called = !one.is_live;
                pathfinder_->look(reconcile::xfrm_device_name(id), {one});
                ipsec_.look();
                return;
            }
        }
    }
}

void Agent::take_tunnel_paths(const std::vector<PathWrite>& writes) {
    bool is_other = false;
    for (const PathWrite& write : writes) {
        if (!reconcile::is_xfrm_device(write.key.first)) continue;
        ipsec_.paths()[write.key] = write.endpoint;
        is_other = true;
        log::info("agent.path", {{"dev", write.key.first},
                                 {"peer", write.key.second},
                                 {"endpoint", write.endpoint.text()},
                                 {"anew", false}});
    }
    if (is_other) follow_tunnels();
}

PathTold Agent::tunnel_path(const PathKey& key, const TunnelSeen& seen) const {
    PathTold told;
    if (!seen.child) return told;
    told.kind = local::PathKind::Direct;
    const auto remote = remote_of(seen);
    if (!pathfinder_ || !remote) return told;
    told.relay = relays_->name_of(key, *remote);
    if (told.relay) told.kind = local::PathKind::RelayUdp;
    const auto view = pathfinder_->view(key);
    if (view.path && view.path->to == *remote && view.round_trip)
        told.rtt_ms = view.round_trip->count();
    return told;
}

// A peer that waits for its tunnel moves when it stands.
void Agent::tunnels_changed() {
    if (moves_.is_moving()) soon();
    look_at_paths();
    report();
}

void Agent::ipsec_list(const Done<local::IpsecList>& done) {
    if (!ipsec_.is_used()) return done(local::IpsecList{});
    ipsec_.ask(ike::Ask::What::Look, "", [this, done](const Answer<uint32_t>& asked) {
        if (!asked) return done(tl::unexpected(asked.error()));
        local::IpsecList list;
        const TunnelsSeen seen(ipsec_.status());
        for (const auto& node : nodes_) {
            const auto& map = node->store().map();
            if (!map || !is_wanted_up()) continue;
            for (const auto& [id, network] : map->networks)
                for (const auto& [node_id, peer] : network.peers)
                    if (network.is_over_ipsec(peer) || seen.of(node_id, id).child)
                        list.tunnels.push_back(tunnel_row({id, network, peer}, seen));
        }
        done(list);
    });
}

void Agent::show_tunnel(const model::MapPeer& known, const TunnelsSeen& tunnels,
                        local::StatusPeer& peer) const {
    peer.data_plane = local::DataPlane::Ipsec;
    const TunnelSeen seen = tunnels.of(peer.id, *peer.network_id);
    if (const auto remote = remote_of(seen)) peer.endpoint = remote->text();
    if (!seen.child) return;
    const auto key = wg::PublicKey::parse(known.wireguard_key).value_or(wg::PublicKey());
    const PathTold told = tunnel_path({reconcile::xfrm_device_name(*peer.network_id), key}, seen);
    peer.path = told.kind;
    peer.rtt_ms = told.rtt_ms;
    if (told.relay) peer.relay = told.relay->name;
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

void Agent::ipsec_change(ike::Ask::What what, const std::string& name,
                         const Done<local::IpsecResult>& done) {
    auto place = find_peer(name);
    if (!place) return done(tl::unexpected(Refusal{place.error(), 404, "NOT_FOUND"}));
    ipsec_.ask(what, ike::connection_name(place->peer.id),
               [done, peer = place->peer.name](const Answer<uint32_t>& sas) {
                   if (!sas) return done(tl::unexpected(sas.error()));
                   done(local::IpsecResult{peer, *sas});
               });
}

void Agent::tunnel_paths(const model::MapNetwork& network,
                         std::vector<model::wire::PeerHealth>& told) const {
    const std::string& network_id = network.id;
    const TunnelsSeen seen_now(ipsec_.status());
    for (const auto& [node_id, peer] : network.peers) {
        if (route_to(network, peer) != Carrier::Ipsec) continue;
        if (told.size() == kMostTold) return;
        const TunnelSeen seen = seen_now.of(node_id, network_id);
        model::wire::PeerHealth& one = told.emplace_back();
        one.network_id = network_id;
        one.node_id = node_id;
        const auto key = wg::PublicKey::parse(peer.wireguard_key).value_or(wg::PublicKey());
        const PathTold path = tunnel_path({reconcile::xfrm_device_name(network_id), key}, seen);
        one.path = told_as(path.kind);
        one.rtt_ms = path.rtt_ms;
        if (path.relay) one.relay_id = path.relay->id;
        if (const auto remote = remote_of(seen); seen.child && remote)
            one.endpoint = remote->text();
    }
}

// As its packets go now.
Carrier Agent::route_to(const model::MapNetwork& network, const model::MapPeer& peer) const {
    if (const Moves::Network* places = moves_.of(network.id))
        if (const auto at = places->peers.find(peer.node_id); at != places->peers.end())
            return at->second.route;
    return carrier_of(network, peer);
}

}  // namespace cvlan::agent
