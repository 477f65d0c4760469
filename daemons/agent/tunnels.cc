// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/tunnels.h"

#include <algorithm>

#include "pki/certificate.h"
#include "reach/candidates.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

std::optional<uint32_t> index_of(const state::AgentState& agent, const std::string& network_id) {
    const auto slot = std::find_if(agent.slots.begin(), agent.slots.end(),
                                   [&](const auto& one) { return one.network_id == network_id; });
    if (slot == agent.slots.end()) return std::nullopt;
    return static_cast<uint32_t>(slot->index);
}

Result<ike::Identity> identity_of(const Identity& own) {
    ike::Identity identity;
    identity.name = own.server_name();
    identity.node_id = own.node_id();
    auto chain = pki::split_chain(own.kept.certificate.value_or(""));
    if (!chain) return failed(chain.error().while_doing("certificate"));
    if (chain->empty()) return fail(Code::NotFound, "no certificate");
    identity.certificates = std::move(*chain);
    identity.key = SecretText(own.kept.tls_key);
    identity.roots = own.kept.trust_bundle;
    return identity;
}

// Where IKE is looked for is its own port, whichever one WireGuard has there.
void add_places(const model::MapPeer& peer, const reach::Underlay& underlay, ike::Peer& to) {
    for (const Endpoint& endpoint : reach::rank(peer.endpoints, underlay))
        if (std::find(to.underlay.begin(), to.underlay.end(), endpoint.address) ==
            to.underlay.end())
            to.underlay.push_back(endpoint.address);
}

bool is_approved_only(const model::MapNetwork& network) {
    return network.crypto_profile == model::wire::CryptoProfile::FipsAlgorithms;
}

std::optional<Endpoint> path_to(const model::MapPeer& peer, const std::string& network_id,
                                const TunnelPaths& paths) {
    const auto key = wg::PublicKey::parse(peer.wireguard_key);
    if (!key) return std::nullopt;
    const auto found = paths.find({reconcile::xfrm_device_name(network_id), *key});
    return found == paths.end() ? std::nullopt : std::optional(found->second);
}

Moves::Peer place_of(const Moves::Network* places, const model::MapNetwork& network,
                     const model::MapPeer& peer) {
    const bool over_ipsec = network.is_over_ipsec(peer);
    if (!places) return {.on_ipsec = over_ipsec};
    const auto found = places->peers.find(peer.node_id);
    return found == places->peers.end() ? Moves::Peer{.on_ipsec = over_ipsec} : found->second;
}

}  // namespace

std::optional<reconcile::DeviceKey> tunnel_key(const Identity& identity,
                                               const model::NetworkMap& map,
                                               const std::string& network_id) {
    const auto network = map.networks.find(network_id);
    const auto* keys = identity.network(network_id);
    if (!keys || network == map.networks.end() || !is_ipsec(network->second)) return std::nullopt;
    auto key = device_key(*keys);
    return key ? std::optional(std::move(*key)) : std::nullopt;
}

Result<void> want_tunnels(const TunnelsFrom& from, ike::Wanted& want) {
    std::map<std::string, ike::Peer> peers;
    const auto& kept = from.identity.kept;
    for (const auto& [id, network] : from.map.networks) {
        const auto index = index_of(from.agent, id);
        if (!index) continue;
        const Moves::Network* places = from.places ? from.places(id) : nullptr;
        for (const auto& [node_id, peer] : network.peers) {
            const auto place = place_of(places, network, peer);
            if (!place.on_ipsec) continue;
            ike::Peer& to = peers[node_id];
            to.node_id = node_id;
            to.name =
                fmt::format("{}.{}.{}", node_id, kept.tenant_id, kept.trust_domain.value_or(""));
            add_places(peer, from.underlay, to);
            if (!to.path) to.path = path_to(peer, id, from.paths);
            to.networks.push_back({id, reconcile::kIfIdBase + *index, network.self.addresses,
                                   peer.addresses, is_approved_only(network)});
            if (place.is_awaited && place.route == Carrier::Wireguard)
                want.bring_up.emplace(ike::connection_name(node_id), id);
        }
    }
    if (peers.empty()) return {};
    auto own = identity_of(from.identity);
    if (!own) return failed(own.error());
    for (const auto& [node_id, peer] : peers) {
        auto tunnel = ike::tunnel_to(*own, peer, from.times);
        want.tunnels.emplace(tunnel.connection.name, std::move(tunnel));
    }
    want.identities.push_back(std::move(*own));
    return {};
}

TunnelsSeen::TunnelsSeen(std::shared_ptr<const ike::Status> status) : status_(std::move(status)) {
    if (!status_) return;
    for (const vici::IkeSa& ike : status_->sas)
        if (ike.is_established())
            established_.emplace(ike.name, &ike);
        else if (ike.initiator)
            called_.insert(ike.name);
}

bool TunnelsSeen::is_called(const std::string& peer_node_id) const {
    const std::string name = ike::connection_name(peer_node_id);
    return called_.contains(name) && !established_.contains(name);
}

TunnelSeen TunnelsSeen::of(const std::string& peer_node_id, const std::string& network_id) const {
    TunnelSeen seen;
    const auto [first, last] = established_.equal_range(ike::connection_name(peer_node_id));
    for (auto at = first; at != last; ++at) {
        if (!seen.ike) seen.ike = at->second;
        for (const vici::ChildSa& child : at->second->child_sas)
            if (child.name == network_id && child.is_installed() &&
                (!seen.child || seen.child->unique_id < child.unique_id))
                seen = {at->second, &child};
    }
    return seen;
}

bool TunnelsSeen::is_single(const std::string& peer_node_id, const std::string& network_id) const {
    size_t count = 0;
    const std::string name = ike::connection_name(peer_node_id);
    if (status_)
        for (const vici::IkeSa& ike : status_->sas)
            if (ike.name == name)
                count += static_cast<size_t>(
                    std::count_if(ike.child_sas.begin(), ike.child_sas.end(),
                                  [&](const auto& child) { return child.name == network_id; }));
    return count == 1;
}

model::wire::PeerPath told_as(model::local::PathKind kind) {
    switch (kind) {
        case model::local::PathKind::None:
            return model::wire::PeerPath::None;
        case model::local::PathKind::Direct:
            return model::wire::PeerPath::Direct;
        case model::local::PathKind::RelayUdp:
            return model::wire::PeerPath::RelayUdp;
        case model::local::PathKind::RelayTls:
            return model::wire::PeerPath::RelayTls;
        case model::local::PathKind::Vrouter:
            break;
    }
    return model::wire::PeerPath::None;
}

std::string cipher_text(const TunnelSeen& tunnel) {
    if (!tunnel.child) return "";
    std::string text = tunnel.child->encr_alg;
    if (tunnel.child->encr_keysize != 0) text += fmt::format("-{}", tunnel.child->encr_keysize);
    const std::string& group =
        tunnel.child->dh_group.empty() ? tunnel.ike->dh_group : tunnel.child->dh_group;
    if (!group.empty()) text += ", " + group;
    return text;
}

}  // namespace cvlan::agent
