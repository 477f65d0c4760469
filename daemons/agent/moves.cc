// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/moves.h"

#include <algorithm>
#include <utility>

#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

Carrier other(Carrier carrier) {
    return carrier == Carrier::Ipsec ? Carrier::Wireguard : Carrier::Ipsec;
}

std::string device_of(const std::string& network_id, Carrier carrier) {
    return carrier == Carrier::Ipsec ? reconcile::xfrm_device_name(network_id)
                                     : reconcile::device_name(network_id);
}

// By which device the kernel routes `to` in the network's own table.
std::optional<Carrier> routed(const Moves::From& from, const Prefix& to) {
    for (const reconcile::DeviceRoute& route : from.seen.routes) {
        if (route.table != reconcile::kTableBase + from.index || route.destination != to) continue;
        for (const Carrier carrier : {Carrier::Wireguard, Carrier::Ipsec})
            if (route.device == device_of(from.network.id, carrier)) return carrier;
    }
    return std::nullopt;
}

bool has_link(const Moves::From& from, Carrier carrier) {
    const std::string device = device_of(from.network.id, carrier);
    return std::any_of(from.seen.links.begin(), from.seen.links.end(),
                       [&](const auto& link) { return link.device == device; });
}

// A device that stands has carried this peer, as far as can be told.
bool may_have_carried(const Moves::From& from, const model::MapPeer& peer, Carrier carrier) {
    if (!has_link(from, carrier)) return false;
    if (carrier == Carrier::Ipsec) return true;
    const auto* device = from.seen.wireguard_device(device_of(from.network.id, carrier));
    const auto key = wg::PublicKey::parse(peer.wireguard_key);
    return device && key &&
           std::any_of(device->peers.begin(), device->peers.end(),
                       [&](const wg::Peer& one) { return one.public_key == *key; });
}

}  // namespace

Carrier carrier_of(const model::MapNetwork& network, const model::MapPeer& peer) {
    return network.is_over_ipsec(peer) ? Carrier::Ipsec : Carrier::Wireguard;
}

Carrier carrier_of(const model::MapNetwork& network) { return carrier_of(network, network.self); }

bool Moves::Network::has(Carrier carrier) const {
    return prefixes == carrier || std::any_of(peers.begin(), peers.end(), [&](const auto& entry) {
               const Peer& peer = entry.second;
               return carrier == Carrier::Ipsec ? peer.on_ipsec : peer.on_wireguard;
           });
}

// What stands of an agent that ran before.
Moves::Known Moves::adopt(const From& from) {
    Known known;
    std::optional<Carrier> prefixes;
    for (const auto& prefix : {from.network.ipv4, from.network.ipv6})
        if (prefix && !prefixes) prefixes = routed(from, *prefix);
    known.last.prefixes = prefixes.value_or(carrier_of(from.network));
    for (const auto& [id, peer] : from.network.peers) {
        const Carrier want = carrier_of(from.network, peer);
        std::optional<Carrier> own;
        for (const Address& address : peer.addresses)
            if (!own) own = routed(from, Prefix::host(address));
        if (!own) own = prefixes;
        if (own && !may_have_carried(from, peer, *own)) own.reset();
        Way& way = known.ways[id];
        way.route = own.value_or(want);
        if (may_have_carried(from, peer, other(way.route))) way.left = Left{from.now, from.now, 0};
    }
    return known;
}

void Moves::step(Way& way, const From& from, const model::MapPeer& peer) {
    const Carrier want = carrier_of(from.network, peer);
    if (way.left) {
        const uint64_t taken = from.tunnel(peer, other(way.route)).taken;
        if (taken != std::exchange(way.left->taken, taken)) way.left->heard_at = from.now;
        const bool is_silent = from.now - way.left->heard_at >= kOldTunnelLife;
        if (is_silent || from.now - way.left->at >= kOldTunnelMost) way.left.reset();
    }
    way.is_awaited = false;
    if (way.route == want) {
        way.moving_since.reset();
        return;
    }
    if (!way.moving_since) way.moving_since = from.now;
    const Tunnel old = from.tunnel(peer, way.route);
    const auto patience = old.stands ? kMoveAtLast : kMovePatience;
    const bool is_late = from.now - *way.moving_since >= patience;
    if (!is_late && !from.tunnel(peer, want).stands) {
        way.is_awaited = old.stands;
        return;
    }
    way.route = want;
    way.moving_since.reset();
    way.left = Left{from.now, from.now, old.taken};
}

Moves::Network Moves::look(const From& from) {
    const auto [entry, is_first] = networks_.try_emplace(from.network.id);
    Known& known = entry->second;
    if (is_first) known = adopt(from);
    Network now{.prefixes = known.last.prefixes};
    bool is_settled = true;
    std::erase_if(known.ways,
                  [&](const auto& one) { return !from.network.peers.contains(one.first); });
    for (const auto& [id, peer] : from.network.peers) {
        const Carrier want = carrier_of(from.network, peer);
        // One that is new here has no old tunnel.
        Way& way = known.ways.try_emplace(id, Way{.route = want}).first->second;
        if (from.may_move) step(way, from, peer);
        Peer& place = now.peers[id];
        place.route = way.route;
        place.is_moving = way.route != want;
        place.is_awaited = place.is_moving && way.is_awaited;
        const bool has_both = place.is_moving || way.left;
        place.on_wireguard = has_both || way.route == Carrier::Wireguard;
        place.on_ipsec = has_both || way.route == Carrier::Ipsec;
        is_settled = is_settled && !place.is_moving;
    }
    // Until then those that have moved have routes of their own.
    if (is_settled) now.prefixes = carrier_of(from.network);
    known.last = now;
    return now;
}

const Moves::Network* Moves::of(const std::string& network_id) const {
    const auto found = networks_.find(network_id);
    return found == networks_.end() ? nullptr : &found->second.last;
}

void Moves::keep_only(const std::function<bool(const std::string& network_id)>& is_wanted) {
    std::erase_if(networks_, [&](const auto& entry) { return !is_wanted(entry.first); });
}

bool Moves::is_moving() const {
    return std::any_of(networks_.begin(), networks_.end(), [](const auto& entry) {
        const auto& ways = entry.second.ways;
        return std::any_of(ways.begin(), ways.end(),
                           [](const auto& way) { return way.second.moving_since.has_value(); });
    });
}

bool Moves::is_lingering() const {
    return std::any_of(networks_.begin(), networks_.end(), [](const auto& entry) {
        const auto& ways = entry.second.ways;
        return std::any_of(ways.begin(), ways.end(),
                           [](const auto& way) { return way.second.left.has_value(); });
    });
}

}  // namespace cvlan::agent
