// SPDX-License-Identifier: Apache-2.0
// Which relay carries for a peer, and what it carries.

#include <algorithm>

#include "base/log.h"
#include "daemons/agent/relay_links_state.h"

namespace cvlan::agent {

using std::chrono::milliseconds;

bool RelayLinks::State::open_loopback() {
    if (loopback) return true;
    auto made = Loopback::open(
        loop, [this](const PathKey& key, ByteView packet) { from_device(key, packet); },
        loopback_port);
    if (made) {
        loopback = std::move(*made);
        return true;
    }
    if (loopback_trouble != made.error().message)
        log::error("agent.loopback_failed", {{"error", made.error().message}});
    loopback_trouble = made.error().message;
    return false;
}

void RelayLinks::State::take_peers(Tenant& tenant) {
    tenant.known.clear();
    if (tenant.member.map)
        for (const auto& network : tenant.member.networks) {
            const auto found = tenant.member.map->networks.find(network.network_id);
            if (found == tenant.member.map->networks.end()) continue;
            for (const auto& [node_id, peer] : found->second.peers)
                if (const auto key = wg::PublicKey::parse(peer.wireguard_key))
                    tenant.known[*key] = {&network, &peer};
        }
    if (tenant.known.empty())
        tenant.known_since.reset();
    else if (!tenant.known_since)
        tenant.known_since = clock.since_boot();
    for (auto at = peers.begin(); at != peers.end();) {
        auto& [key, peer] = *at;
        const bool stays = peer.tenant != &tenant || still_knows(tenant, key, peer);
        if (!stays) {
            end_pair(peer, BootTime(0));
            loopback->remove(key);
        }
        at = stays ? std::next(at) : peers.erase(at);
    }
}

// The map is another one: false where the peer is in it no more.
bool RelayLinks::State::still_knows(const Tenant& tenant, const PathKey& key, Peer& peer) {
    const auto known = tenant.known.find(key.second);
    if (known == tenant.known.end() || known->second.network->device != key.first) return false;
    peer.known = known->second;
    peer.loopback = loopback->add(key, peer.known.network->port);
    const bool has_other_key = peer.pair.own != peer.known.network->own;
    if (!peer.pair_relay.empty() && has_other_key) end_pair(peer, BootTime(0));
    return true;
}

void RelayLinks::State::forget_peers_of(const Tenant& tenant) {
    std::erase_if(peers, [&](const auto& one) {
        if (one.second.tenant != &tenant) return false;
        loopback->remove(one.first);
        return true;
    });
}

RelayLinks::State::Peer* RelayLinks::State::peer_at(const PathKey& key) {
    const auto found = peers.find(key);
    if (found != peers.end()) return &found->second;
    for (auto& [id, tenant] : tenants) {
        const auto known = tenant->known.find(key.second);
        if (known == tenant->known.end() || known->second.network->device != key.first) continue;
        if (!open_loopback()) return nullptr;
        Peer& made = peers[key];
        made.tenant = tenant.get();
        made.known = known->second;
        made.used_at = clock.since_boot() - kUsedFor;
        made.loopback = loopback->add(key, made.known.network->port);
        return &made;
    }
    return nullptr;
}

void RelayLinks::State::note_needs() {
    const BootTime now = clock.since_boot();
    for (auto& [key, peer] : peers) peer.needs_relay = peer.needs_pair = false;
    for (const PeerNeed& need : needs) {
        Peer* peer = peer_at(need.key);
        if (!peer) continue;
        peer->needs_relay = need.relay || need.pair;
        peer->needs_pair = need.pair;
        if (need.pair) peer->pair_needed_at = now;
    }
}

bool RelayLinks::State::is_active(const Peer& peer, BootTime now) const {
    return peer.needs_relay || now - peer.used_at < kUsedFor;
}

bool RelayLinks::State::can_carry(const Link& link, const Peer& peer) const {
    return link.client && link.client->is_up() && !link.down_since &&
           link.granted.contains(peer.known.network->own);
}

// The peer's home, else ours: first one at which the peer was not missed just now.
const RelayLinks::State::Link* RelayLinks::State::route(const Peer& peer,
                                                        const wg::PublicKey& key) const {
    const BootTime now = clock.since_boot();
    const Link* second = nullptr;
    for (const std::string* id : {&peer.known.peer->relay_id, &peer.tenant->home.id()}) {
        const auto found = peer.tenant->links.find(*id);
        if (found == peer.tenant->links.end() || !can_carry(found->second, peer)) continue;
        const auto gone = found->second.gone.find(key);
        if (gone == found->second.gone.end() || now >= gone->second) return &found->second;
        if (!second) second = &found->second;
    }
    return second;
}

void RelayLinks::State::from_device(const PathKey& key, ByteView packet) {
    Peer* peer = peer_at(key);
    if (!peer) return;
    const BootTime now = clock.since_boot();
    const bool was_active = is_active(*peer, now);
    peer->used_at = now;
    if (!was_active) soon();
    if (const Link* link = route(*peer, key.second)) link->client->send(key.second, packet);
}

void RelayLinks::State::from_relay(Tenant& tenant, const wg::PublicKey& source, ByteView packet) {
    const auto known = tenant.known.find(source);
    if (known == tenant.known.end()) return;
    const PathKey key{known->second.network->device, source};
    Peer* peer = peer_at(key);
    if (!peer) return;
    const BootTime now = clock.since_boot();
    const bool was_active = is_active(*peer, now);
    peer->used_at = now;
    if (!was_active) soon();
    // Message type 4 is data (drivers/net/wireguard/messages.h); handshakes and checks pass.
    if (now < peer->muted_until && !packet.empty() && packet[0] == 4) return;
    loopback->deliver(key, packet);
}

// A peer that is not needed keeps its places: the kernel may still send there.
void RelayLinks::State::tell_places(BootTime now) {
    for (auto& [key, peer] : peers) {
        RelayedPlaces places;
        places.udp = peer.pairing.place();
        if (is_active(peer, now) && route(peer, key.second)) places.tls = peer.loopback;
        if (places == peer.told) continue;
        peer.told = places;
        seam.on_relayed(key, places);
    }
}

// Both sides come to the same: the home of the node with the lower id, else the other's.
const std::string& RelayLinks::State::relay_of_pair(const Peer& peer) const {
    const std::string& ours = peer.tenant->home.id();
    const std::string& theirs = peer.known.peer->relay_id;
    if (ours.empty() || theirs.empty()) return ours.empty() ? theirs : ours;
    return peer.tenant->member.node_id < peer.known.peer->node_id ? ours : theirs;
}

void RelayLinks::State::step_pair(PeerEntry& entry, BootTime now) {
    auto& [key, peer] = entry;
    const bool is_wanted =
        peer.needs_pair || (!peer.pair_relay.empty() && now - peer.pair_needed_at < kPairKept);
    const std::string& relay = relay_of_pair(peer);
    if (!peer.pair_relay.empty() && (!is_wanted || relay != peer.pair_relay)) end_pair(peer, now);
    const auto link = peer.tenant->links.find(relay);
    if (link == peer.tenant->links.end()) return;
    const bool can_ask = is_wanted && peer.pair_relay.empty() && now >= peer.pair_again &&
                         now >= link->second.pairs_again && can_carry(link->second, peer);
    if (can_ask) {
        peer.pair_relay = relay;
        peer.pair = {peer.known.network->own, key.second};
        link->second.client->pair(peer.pair);
    }
    for (const Pairing::Bind& bind : peer.pairing.step(now))
        (void)seam.send_stun(key.first, bind.to, bind.datagram);
}

void RelayLinks::State::end_pair(Peer& peer, BootTime again) {
    const auto link = peer.tenant->links.find(peer.pair_relay);
    if (link != peer.tenant->links.end() && link->second.client)
        link->second.client->unpair(peer.pair);
    peer.pairing.ended();
    peer.pair_relay.clear();
    peer.pair = {};
    peer.pair_again = again;
}

RelayLinks::State::Peer* RelayLinks::State::peer_of_pair(Tenant& tenant, const relay::PairOf& pair,
                                                         const Link& link) {
    const auto known = tenant.known.find(pair.peer);
    if (known == tenant.known.end() || known->second.network->own != pair.own) return nullptr;
    const auto peer = peers.find({known->second.network->device, pair.peer});
    const bool is_asked = peer != peers.end() && peer->second.pair_relay == link.relay.id;
    return is_asked ? &peer->second : nullptr;
}

// It was not said of which pair: those that have no offer are asked for again later.
void RelayLinks::State::pairs_refused(Tenant& tenant, Link& link) {
    const BootTime again = clock.since_boot() + kRefusedPairPause;
    link.pairs_again = again;
    for (auto& [key, peer] : peers) {
        const bool is_its = peer.tenant == &tenant && peer.pair_relay == link.relay.id;
        if (is_its && !peer.pairing.is_offered()) end_pair(peer, again);
    }
}

std::optional<RelayName> RelayLinks::name_of(const PathKey& key, const Endpoint& in_use) const {
    const auto found = state_->peers.find(key);
    if (found == state_->peers.end()) return std::nullopt;
    const State::Peer& peer = found->second;
    if (peer.pairing.place() == in_use) {
        const auto link = peer.tenant->links.find(peer.pair_relay);
        if (link == peer.tenant->links.end()) return std::nullopt;
        return RelayName{link->first, link->second.relay.name};
    }
    if (in_use != peer.loopback) return std::nullopt;
    const State::Link* link = state_->route(peer, key.second);
    if (!link) return std::nullopt;
    return RelayName{link->relay.id, link->relay.name};
}

}  // namespace cvlan::agent
