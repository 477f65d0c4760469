// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/wanted.h"

#include <algorithm>

#include "daemons/agent/tunnels.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

// Has the kernel shake hands with a peer to which nobody sends yet.
constexpr uint16_t kAwaitedKeepalive = 2;

void place_in(const Moves::Network& places, reconcile::NetworkContext& context) {
    context.ipsec = places.prefixes == Carrier::Ipsec;
    context.has_both = places.has(Carrier::Ipsec) && places.has(Carrier::Wireguard);
    if (!context.has_both) return;
    for (const auto& [node_id, place] : places.peers)
        context.places[node_id] = {place.route, place.on_wireguard};
}

reconcile::PeerContext peer_context(const model::MapNetwork& network, const model::MapPeer& peer,
                                    const WantedFrom& from, const Endpoint* chosen,
                                    const Endpoint* good) {
    reconcile::PeerContext context;
    const auto ranked = reach::rank(peer.endpoints, from.underlay);
    if (!ranked.empty()) context.endpoint = ranked.front();
    if (good) context.endpoint = *good;
    if (chosen) {
        context.endpoint = *chosen;
        context.move_endpoint = true;
    }
    // Both sides read the same map, so both come to the same answer.
    if (reach::needs_keepalive(network.self.endpoints, peer.endpoints))
        context.keepalive_seconds = static_cast<uint16_t>(reach::kKeepalive.count());
    return context;
}

}  // namespace

bool Paths::look(const model::MapNetwork& network, const reach::Underlay& underlay,
                 const wg::Device& have, const reach::Moment& now,
                 const std::function<bool(const Key&)>& has_checks) {
    std::map<wg::PublicKey, const wg::Peer*> seen_peers;
    for (const wg::Peer& peer : have.peers) seen_peers[peer.public_key] = &peer;
    bool has_choice = false;
    for (const auto& [id, peer] : network.peers) {
        auto key = wg::PublicKey::parse(peer.wireguard_key);
        const auto found = key ? seen_peers.find(*key) : seen_peers.end();
        if (found == seen_peers.end()) continue;
        const wg::Peer& kernel = *found->second;
        const reach::Sighting seen{kernel.endpoint, kernel.last_handshake, kernel.rx_bytes,
                                   kernel.tx_bytes, kernel.keepalive_seconds > 0};
        const Key place{have.name, *key};
        const bool is_watched_only = has_checks(place);
        const auto ranked =
            is_watched_only ? std::vector<Endpoint>() : reach::rank(peer.endpoints, underlay);
        const auto choice = tries_[place].look(seen, ranked, now);
        if (!choice || is_watched_only) continue;
        chosen_[place] = *choice;
        has_choice = true;
    }
    return has_choice;
}

const Endpoint* Paths::chosen(const Key& key) const {
    const auto found = chosen_.find(key);
    return found == chosen_.end() ? nullptr : &found->second;
}

const Endpoint* Paths::good(const Key& key) const {
    const auto found = tries_.find(key);
    if (found == tries_.end() || !found->second.good_endpoint()) return nullptr;
    return &*found->second.good_endpoint();
}

bool Paths::is_live(const Key& key, const reach::Moment& now) const {
    const auto found = tries_.find(key);
    return found != tries_.end() && found->second.is_live(now);
}

bool Paths::is_searching(const reach::Moment& now) const {
    return std::any_of(tries_.begin(), tries_.end(), [&](const auto& entry) {
        return entry.second.is_early() && !entry.second.is_live(now);
    });
}

void Paths::keep_only(const reconcile::Desired& want) {
    std::erase_if(tries_, [&](const auto& entry) {
        for (const auto& device : want.wireguard) {
            if (device.device != entry.first.first) continue;
            const auto at = std::lower_bound(
                device.peers.begin(), device.peers.end(), entry.first.second,
                [](const reconcile::WgPeer& p, const wg::PublicKey& k) { return p.key < k; });
            return at == device.peers.end() || at->key != entry.first.second;
        }
        return true;
    });
}

reconcile::NodeConfig node_config(const WantedFrom& from, state::AgentState& agent) {
    reconcile::NodeConfig config;
    config.underlay = from.underlay.own;
    for (const auto& [id, network] : from.map.networks) {
        const auto* keys = from.identity.network(id);
        if (!keys) continue;
        auto key = device_key(*keys);
        auto index = index_for(agent, id);
        if (!key || !index) continue;
        reconcile::NetworkContext context;
        context.index = *index;
        context.key = *key;
        context.listen_port = static_cast<uint16_t>(keys->listen_port);
        if (from.mtu) context.mtu = from.mtu;
        const auto places = from.moves.look(
            {network, *index, from.seen,
             [&, id = id](const auto& peer, Carrier by) { return from.tunnel(id, peer, by); },
             from.now, from.may_move});
        place_in(places, context);
        const std::string device = reconcile::device_name(id);
        for (const auto& [node_id, peer] : network.peers)
            if (auto peer_key = wg::PublicKey::parse(peer.wireguard_key))
                context.peers[*peer_key] =
                    peer_context(network, peer, from, from.paths.chosen({device, *peer_key}),
                                 from.paths.good({device, *peer_key}));
        for (const auto& [node_id, place] : places.peers)
            if (place.is_awaited && place.route == Carrier::Ipsec)
                if (auto peer_key = wg::PublicKey::parse(network.peers.at(node_id).wireguard_key))
                    context.peers[*peer_key].keepalive_seconds = kAwaitedKeepalive;
        config.networks[id] = std::move(context);
    }
    return config;
}

}  // namespace cvlan::agent
