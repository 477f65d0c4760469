// SPDX-License-Identifier: Apache-2.0
#include "model/network_map.h"

#include <algorithm>
#include <functional>

#include "base/bytes.h"
#include "model/claims.h"
#include "model/objects.h"

namespace cvlan::model {

namespace {

Result<std::optional<Prefix>> parse_prefix(const std::optional<std::string>& text) {
    if (!text) return std::optional<Prefix>{};
    auto prefix = Prefix::parse(*text);
    if (!prefix) return failed(prefix.error());
    return std::optional<Prefix>{*prefix};
}

Result<MapNetwork> check_network(const wire::MapFragment& fragment) {
    if (!fragment.network) return fail(Code::Malformed, "a NETWORK fragment without a network");
    MapNetwork network;
    network.id = fragment.id;
    network.name = fragment.network->name;
    network.mtu = static_cast<uint16_t>(fragment.network->mtu);
    network.data_plane = fragment.network->data_plane.value_or(wire::DataPlane::Wireguard);
    network.crypto_profile =
        fragment.network->crypto_profile.value_or(wire::CryptoProfile::Default);
    network.topology = fragment.network->topology.value_or(wire::Topology::Mesh);
    if (auto name = check_name("name", network.name); !name) return failed(name.error());
    auto ipv4 = parse_prefix(fragment.network->ipv4);
    if (!ipv4) return failed(ipv4.error().while_doing("ipv4"));
    auto ipv6 = parse_prefix(fragment.network->ipv6);
    if (!ipv6) return failed(ipv6.error().while_doing("ipv6"));
    network.ipv4 = *ipv4;
    network.ipv6 = *ipv6;
    return network;
}

bool is_inside(const MapNetwork& network, const Address& address) {
    const auto& prefix = address.is_v4() ? network.ipv4 : network.ipv6;
    return prefix && prefix->contains(address);
}

Result<MapPeer> check_peer(const MapNetwork& network, const wire::MapFragment& fragment) {
    if (!fragment.peer) return fail(Code::Malformed, "a PEER fragment without a peer");
    MapPeer peer;
    peer.node_id = fragment.id;
    peer.name = fragment.peer->name;
    // The name reaches DNS, logs and terminals of this machine: checked here too.
    if (auto name = check_name("name", peer.name); !name) return failed(name.error());
    for (const std::string& text : fragment.peer->addresses) {
        auto address = Address::parse(text);
        if (!address) return failed(address.error());
        if (!is_inside(network, *address))
            return fail(Code::Invalid, "address {} is outside the network", address->text());
        peer.addresses.push_back(*address);
    }
    if (peer.addresses.empty()) return fail(Code::Invalid, "no address");
    peer.wireguard_key = fragment.peer->wireguard_public_key.value_or("");
    auto key = from_base64(peer.wireguard_key);
    if (!key || (key->size() != 32 && !key->empty()))
        return fail(Code::Invalid, "wireguardPublicKey is no key of 32 bytes");
    for (const std::string& text : fragment.peer->endpoints)
        if (auto endpoint = Endpoint::parse(text)) peer.endpoints.push_back(*endpoint);
    peer.relay_id = fragment.peer->relay_id.value_or("");
    peer.asks_for_ipsec = fragment.peer->data_plane == wire::DataPlane::Ipsec;
    peer.gateway = fragment.peer->gateway.value_or(false);
    for (const std::string& text : fragment.peer->routes) {
        auto route = Prefix::parse(text);
        if (!route) return failed(route.error().while_doing("routes"));
        if (peer.gateway) peer.routes.push_back(*route);
    }
    return peer;
}

using Refuse =
    std::function<void(std::string_view what, const wire::MapFragment& of, const Error& why)>;

void place_peers(const std::vector<wire::MapFragment>& fragments, NetworkMap& map,
                 const Refuse& refuse) {
    std::map<std::string, Claims> claims;
    const auto place = [&](const wire::MapFragment& fragment) {
        const auto network = map.networks.find(fragment.scope);
        if (fragment.kind != wire::FragmentKind::Peer || fragment.removed.value_or(false) ||
            network == map.networks.end())
            return;
        auto peer = check_peer(network->second, fragment);
        auto taken = peer ? claims[fragment.scope].take(*peer) : Result<void>();
        if (!peer || !taken)
            refuse("peer", fragment, peer ? taken.error() : peer.error());
        else if (fragment.id == map.node_id)
            network->second.self = std::move(*peer);
        else
            network->second.peers.emplace(fragment.id, std::move(*peer));
    };
    // Before all others, so that nobody claims what is this node's own.
    for (const wire::MapFragment& fragment : fragments)
        if (fragment.id == map.node_id) place(fragment);
    for (const wire::MapFragment& fragment : fragments)
        if (fragment.id != map.node_id) place(fragment);
}

// A route is no way to a network of this node, nor to everything: its tunnels go by that.
void check_routes(NetworkMap& map, MapPeer& gateway) {
    const auto is_bad = [&](const Prefix& route) {
        for (const auto& [id, network] : map.networks)
            for (const auto& prefix : {network.ipv4, network.ipv6})
                if (prefix && prefix->overlaps(route)) return true;
        return route.length() == 0;
    };
    for (const Prefix& route : gateway.routes)
        if (is_bad(route))
            map.refused.push_back(
                fmt::format("vrouter {}: route {} can not be one", gateway.node_id, route.text()));
    std::erase_if(gateway.routes, is_bad);
}

// One vrouter a network: while it changes from one node to another a map may have two, of which
// this node counts itself, or the first. In a HUB nodes have no tunnel with anybody else.
void place_gateways(NetworkMap& map) {
    for (auto& [id, network] : map.networks) {
        bool has_one = network.self.gateway;
        for (auto& [node_id, peer] : network.peers) {
            if (!peer.gateway) continue;
            if (has_one) {
                peer.gateway = false;
                peer.routes.clear();
                map.refused.push_back(
                    fmt::format("network {}: vrouter {}: it has another already", id, node_id));
            }
            has_one = true;
            check_routes(map, peer);
        }
        if (network.topology != wire::Topology::Hub || network.self.gateway) continue;
        for (auto peer = network.peers.begin(); peer != network.peers.end();) {
            const auto next = std::next(peer);
            if (!peer->second.gateway) network.behind.insert(network.peers.extract(peer));
            peer = next;
        }
    }
}

// A peer's home may have been deleted, or have no place in the map yet.
void forget_lost_relays(NetworkMap& map) {
    for (auto& [id, network] : map.networks) {
        if (!map.relays.contains(network.self.relay_id)) network.self.relay_id.clear();
        for (auto& [node_id, peer] : network.peers)
            if (!map.relays.contains(peer.relay_id)) peer.relay_id.clear();
    }
}

}  // namespace

const MapPeer* MapNetwork::gateway() const {
    const auto found = std::find_if(peers.begin(), peers.end(),
                                    [](const auto& entry) { return entry.second.gateway; });
    return found == peers.end() ? nullptr : &found->second;
}

std::vector<Prefix> MapNetwork::beyond_gateway() const {
    const MapPeer* one = gateway();
    if (one == nullptr) return {};
    std::vector<Prefix> all = one->routes;
    if (topology != wire::Topology::Hub) return all;
    for (const auto& prefix : {ipv4, ipv6})
        if (prefix) all.push_back(*prefix);
    return all;
}

NetworkMap build_map(const wire::MapHead& head, const std::vector<wire::MapFragment>& fragments,
                     int64_t revision) {
    NetworkMap map;
    map.tenant_id = head.tenant_id;
    map.node_id = head.node_id;
    map.epoch = head.epoch;
    map.revision = std::max(head.revision, revision);
    map.issued_at = head.issued_at;
    map.expires_at = head.expires_at;
    map.expiry = head.map_expiry.value_or(wire::MapExpiry::Keep);
    const auto refuse = [&](std::string_view what, const wire::MapFragment& of, const Error& why) {
        map.refused.push_back(fmt::format("{} {}: {}", what, of.id, why.message));
    };

    for (const wire::MapFragment& fragment : fragments) {
        if (fragment.kind != wire::FragmentKind::Network || fragment.removed.value_or(false))
            continue;
        auto network = check_network(fragment);
        if (network)
            map.networks.emplace(fragment.id, std::move(*network));
        else
            refuse("network", fragment, network.error());
    }
    std::erase_if(map.networks, [&](const auto& entry) {
        return std::count(head.network_ids.begin(), head.network_ids.end(), entry.first) == 0;
    });

    place_relays(fragments, map.tenant_id, map.relays, map.refused);
    place_peers(fragments, map, refuse);
    place_gateways(map);
    place_connections(fragments, map);
    forget_lost_relays(map);
    std::erase_if(map.networks, [&](const auto& entry) {
        if (!entry.second.self.node_id.empty()) return false;
        map.refused.push_back(
            fmt::format("network {}: this node's own membership is missing", entry.first));
        return true;
    });
    return map;
}

}  // namespace cvlan::model
