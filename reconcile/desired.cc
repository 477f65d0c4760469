// SPDX-License-Identifier: Apache-2.0
#include "reconcile/desired.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "model/claims.h"

namespace cvlan::reconcile {

namespace {

// Why this node does not use a route of its vrouter; empty: it does. What it is itself part of it
// would lose.
std::string why_not(const Prefix& route, const model::MapNetwork& network, const NodeConfig& self) {
    const auto own = std::find_if(self.underlay.begin(), self.underlay.end(),
                                  [&](const Address& one) { return route.contains(one); });
    if (own != self.underlay.end()) return "holds this machine's address " + own->text();
    const auto& mine = network.self.addresses;
    const bool has_family = std::any_of(mine.begin(), mine.end(), [&](const Address& one) {
        return one.family() == route.family();
    });
    return has_family ? "" : "this node has no address of its family";
}

std::vector<Prefix> usable_routes(const model::MapNetwork& network, const NodeConfig& self,
                                  std::vector<std::string>& refused) {
    std::vector<Prefix> routes;
    for (const Prefix& route : network.beyond_gateway()) {
        const std::string why = why_not(route, network, self);
        if (why.empty())
            routes.push_back(route);
        else
            refused.push_back(
                fmt::format("network {}: route {}: {}", network.id, route.text(), why));
    }
    return routes;
}

Result<WgPeer> wanted_peer(const model::MapPeer& peer, const NetworkContext& self,
                           const std::vector<Prefix>& routes, model::Claims& claims) {
    auto key = wg::PublicKey::parse(peer.wireguard_key);
    if (!key) return failed(key.error());
    // Other points of low order do no harm: the kernel shakes no hands with them, and to find them
    // would cost an X25519 for each peer and map.
    if (key->empty()) return fail(Code::Invalid, "the all-zero key");
    // The kernel passes over a peer with the key of the device itself.
    if (*key == self.key.public_key()) return fail(Code::Conflict, "has this node's own key");
    if (auto taken = claims.take(peer); !taken) return failed(taken.error());

    WgPeer wanted{.key = *key};
    for (const Address& address : peer.addresses)
        wanted.allowed_ips.push_back(Prefix::host(address));
    if (peer.gateway)
        wanted.allowed_ips.insert(wanted.allowed_ips.end(), routes.begin(), routes.end());
    std::sort(wanted.allowed_ips.begin(), wanted.allowed_ips.end());
    if (!peer.endpoints.empty()) wanted.endpoint = peer.endpoints.front();
    if (const auto known = self.peers.find(*key); known != self.peers.end()) {
        if (known->second.endpoint) wanted.endpoint = known->second.endpoint;
        wanted.move_endpoint = known->second.move_endpoint;
        wanted.keepalive_seconds = known->second.keepalive_seconds;
    }
    return wanted;
}

WgDevice wanted_device(const model::MapNetwork& network, const NetworkContext& self,
                       const std::vector<Prefix>& routes, Desired& want) {
    WgDevice device{.device = device_name(network.id),
                    .key = self.key,
                    .listen_port = self.listen_port,
                    .fwmark = kMarkBase + self.index};
    model::Claims claims;
    (void)claims.take(network.self);  // the first, so nobody has them
    device.peers.reserve(network.peers.size());
    for (const auto& [id, peer] : network.peers) {
        if (peer.wireguard_key.empty() || !self.place_of(id).on_wireguard) continue;
        auto wanted = wanted_peer(peer, self, routes, claims);
        if (wanted) {
            device.peers.push_back(std::move(*wanted));
        } else {
            want.refused.push_back(
                fmt::format("network {}: peer {}: {}", network.id, id, wanted.error().message));
        }
    }
    std::sort(device.peers.begin(), device.peers.end(),
              [](const WgPeer& a, const WgPeer& b) { return a.key < b.key; });
    return device;
}

// ESP with AES-GCM in UDP over IPv6 takes 86 bytes of a packet at most, where WireGuard, which maps
// have in mind, takes 80.
constexpr uint32_t kEspTakesMore = 6;
constexpr uint32_t kLeastMtu = 1280;

Link wireguard_link(const model::MapNetwork& network, const NetworkContext& self,
                    const std::string& netns) {
    Link link{.device = device_name(network.id),
              .network_id = network.id,
              .mtu = self.mtu.value_or(network.mtu)};
    link.netns = netns;
    return link;
}

Link xfrm_link(const model::MapNetwork& network, const NetworkContext& self,
               const std::string& netns) {
    Link link = wireguard_link(network, self, netns);
    link.device = xfrm_device_name(network.id);
    link.if_id = kIfIdBase + self.index;
    if (!self.mtu) link.mtu = std::max(link.mtu - std::min(link.mtu, kEspTakesMore), kLeastMtu);
    return link;
}

const Address* own_address(const model::MapNetwork& network, Family family) {
    const auto own =
        std::find_if(network.self.addresses.begin(), network.self.addresses.end(),
                     [&](const Address& address) { return address.family() == family; });
    return own == network.self.addresses.end() ? nullptr : &*own;
}

// For each family which the network and the node have, a route and a rule.
void want_routing(const model::MapNetwork& network, const NetworkContext& self,
                  const std::vector<Prefix>& routes, Desired& want) {
    const uint32_t table = kTableBase + self.index;
    const auto device_of = [&](bool ipsec) {
        return ipsec ? xfrm_device_name(network.id) : device_name(network.id);
    };
    for (const auto& prefix : {network.ipv4, network.ipv6}) {
        const Address* own = prefix ? own_address(network, prefix->family()) : nullptr;
        if (!own) continue;
        want.routes.push_back(device_route(table, *prefix, device_of(self.ipsec), *own));
        if (self.has_xfrm()) want.routes.push_back(guard_route(table, *prefix));
        want.rules.push_back(policy_rule(prefix->family(), self.index));
        for (const Prefix& route : routes)
            if (route.family() == prefix->family() && route != *prefix)
                want.routes.push_back(device_route(table, route, device_of(false), *own));
    }
    if (!self.has_both) return;
    for (const auto& [id, peer] : network.peers) {
        const bool ipsec = self.place_of(id).route == Carrier::Ipsec;
        if (ipsec == self.ipsec) continue;
        for (const Address& address : peer.addresses) {
            const Address* own = own_address(network, address.family());
            if (!own) continue;
            const Prefix host = Prefix::host(address);
            want.routes.push_back(device_route(table, host, device_of(ipsec), *own));
            // Where the interface goes, the peer is not reached by the other device instead.
            if (ipsec) want.routes.push_back(guard_route(table, host));
        }
    }
}

// What is for a foreign site goes to it by IPsec or nowhere: never by what else stands in the
// gateway's namespace.
void guard_sites(const model::MapNetwork& network, const NetworkContext& self, Desired& want) {
    for (const auto& [id, connection] : network.connections)
        for (const Prefix& subnet : connection.remote_subnets)
            if (own_address(network, subnet.family()))
                want.routes.push_back(guard_route(kTableBase + self.index, subnet));
}

// Of IPsec's tunnels none has more in it than the two nodes' own addresses.
std::vector<Prefix> carried_routes(const model::MapNetwork& network, const NetworkContext& own,
                                   const NodeConfig& self, std::vector<std::string>& refused) {
    const model::MapPeer* gateway = network.gateway();
    if (!gateway || own.place_of(gateway->node_id).route == Carrier::Ipsec) return {};
    return usable_routes(network, self, refused);
}

void want_network(const model::MapNetwork& network, const NetworkContext& own,
                  const NodeConfig& self, Desired& want) {
    if (own.has_wireguard()) want.links.push_back(wireguard_link(network, own, self.netns));
    if (own.has_xfrm()) want.links.push_back(xfrm_link(network, own, self.netns));
    for (const Address& address : network.self.addresses) {
        if (own.has_wireguard())
            want.addresses.push_back({device_name(network.id), address, address.bits()});
        if (own.has_xfrm())
            want.addresses.push_back({xfrm_device_name(network.id), address, address.bits()});
    }
    const auto routes = carried_routes(network, own, self, want.refused);
    want_routing(network, own, routes, want);
    guard_sites(network, own, want);
    if (own.has_wireguard()) want.wireguard.push_back(wanted_device(network, own, routes, want));
}

template <class Value>
void sort_unique(std::vector<Value>& values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
}

void put_in_order(Desired& want) {
    sort_unique(want.links);
    sort_unique(want.addresses);
    std::sort(want.wireguard.begin(), want.wireguard.end(),
              [](const WgDevice& a, const WgDevice& b) { return a.device < b.device; });
    std::sort(want.routes.begin(), want.routes.end(), [](const auto& a, const auto& b) {
        return std::tie(a.table, a.destination, a.metric) <
               std::tie(b.table, b.destination, b.metric);
    });
    sort_unique(want.rules);
}

std::string refusal(const model::MapNetwork& network, const NodeConfig& self,
                    const std::set<uint32_t>& indexes) {
    const auto own = self.networks.find(network.id);
    if (own == self.networks.end()) return "the node has no key for it yet";
    if (own->second.has_wireguard() && own->second.key.public_key().empty())
        return "the node has no key for it yet";
    if (own->second.index >= kIndexes)
        return fmt::format("index {} is out of range", own->second.index);
    if (indexes.contains(own->second.index))
        return fmt::format("index {} is another network's", own->second.index);
    return {};
}

// The indexes of its networks, by what stands for one in the kernel (a device's fwmark, an
// interface's if_id).
std::set<uint32_t> indexes_of(const Desired& want) {
    std::set<uint32_t> indexes;
    for (const WgDevice& device : want.wireguard) indexes.insert(device.fwmark - kMarkBase);
    for (const Link& link : want.links)
        if (link.if_id != 0) indexes.insert(link.if_id - kIfIdBase);
    return indexes;
}

template <class Value>
void append(std::vector<Value>& to, std::vector<Value>& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

PeerPlace NetworkContext::place_of(const std::string& node_id) const {
    const auto found = places.find(node_id);
    if (has_both && found != places.end()) return found->second;
    return {ipsec ? Carrier::Ipsec : Carrier::Wireguard, !ipsec};
}

Desired desired_state(const model::NetworkMap& map, const NodeConfig& self) {
    Desired want;
    if (self.down) return want;
    std::set<uint32_t> indexes;
    for (const auto& [id, network] : map.networks) {
        if (const std::string why = refusal(network, self, indexes); !why.empty()) {
            want.refused.push_back(fmt::format("network {}: {}", id, why));
            continue;
        }
        const NetworkContext& own = self.networks.at(id);
        indexes.insert(own.index);
        want_network(network, own, self, want);
    }
    put_in_order(want);
    return want;
}

void Desired::add(Desired other) {
    const auto is_twice = [&](const Link& link) {
        return std::any_of(links.begin(), links.end(),
                           [&](const Link& mine) { return mine.device == link.device; });
    };
    const std::set<uint32_t> mine = indexes_of(*this);
    const std::set<uint32_t> theirs = indexes_of(other);
    const bool clashes = std::any_of(other.links.begin(), other.links.end(), is_twice) ||
                         std::any_of(theirs.begin(), theirs.end(),
                                     [&](uint32_t index) { return mine.contains(index); });
    append(refused, other.refused);
    if (clashes) {
        refused.push_back("two identities of this node want the same device or index");
        return;
    }
    append(links, other.links);
    append(addresses, other.addresses);
    append(wireguard, other.wireguard);
    append(routes, other.routes);
    append(rules, other.rules);
    append(left_alone, other.left_alone);
    put_in_order(*this);
}

}  // namespace cvlan::reconcile
