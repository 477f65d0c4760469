// SPDX-License-Identifier: Apache-2.0
// How it stands: status, plan, and finding a peer.

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "daemons/agent/agent.h"
#include "daemons/agent/enrolment.h"
#include "http/origin.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

// Until policies exist this is what a reader has to know (issue 2, section 3).
constexpr const char* kNoPolicies =
    "there are no policies yet: every node of a network reaches every other node of it";

using PeersByKey = std::map<wg::PublicKey, const wg::Peer*>;

PeersByKey peers_of(const wg::Device* device) {
    PeersByKey peers;
    if (!device) return peers;
    for (const wg::Peer& peer : device->peers) peers.emplace(peer.public_key, &peer);
    return peers;
}

local::DataPlane local_plane(model::wire::DataPlane plane) {
    switch (plane) {
        case model::wire::DataPlane::Ipsec:
            return local::DataPlane::Ipsec;
        case model::wire::DataPlane::Auto:
            return local::DataPlane::Auto;
        case model::wire::DataPlane::Wireguard:
            break;
    }
    return local::DataPlane::Wireguard;
}

std::vector<std::string> texts(const std::vector<Address>& addresses) {
    std::vector<std::string> out;
    out.reserve(addresses.size());
    for (const Address& address : addresses) out.push_back(address.text());
    return out;
}

}  // namespace

std::vector<local::HealthItem> Agent::machine_health() const {
    std::vector<local::HealthItem> items;
    for (const std::string& problem : problems_) items.push_back({"KERNEL", "error", problem});
    for (const std::string& line : refused_) items.push_back({"MAP_REFUSED", "warning", line});
    for (const std::string& line : moved_) items.push_back({"MOVED", "info", line});
    if (!save_trouble_.empty()) items.push_back({"STATE_NOT_SAVED", "error", save_trouble_});
    if (!enrolment_trouble_.empty()) items.push_back({"ENROLMENT", "error", enrolment_trouble_});
    if (parts_.sockets && !parts_.sockets->trouble().empty())
        items.push_back({"PATHS", "warning",
                         "paths are tried by the kernel alone: " + parts_.sockets->trouble()});
    overlap_health(items);
    if (is_wanted_up()) ipsec_.add_health(items);
    return items;
}

// F80: an underlay inside a network of ours is reached through the overlay, or not at all. Our own
// traffic is marked and stays off our routes; that of other programs is not.
void Agent::overlap_health(std::vector<local::HealthItem>& items) const {
    for (const auto& node : nodes_) {
        const auto map = node->map();
        if (!map) continue;
        for (const auto& [id, network] : map->networks) {
            for (const auto& prefix : {network.ipv4, network.ipv6}) {
                if (!prefix) continue;
                for (const Prefix& subnet : underlay_.subnets)
                    if (prefix->overlaps(subnet))
                        items.push_back({"ROUTE_OVERLAP", "warning",
                                         fmt::format("network {} {} overlaps {} of this machine",
                                                     network.name, prefix->text(), subnet.text())});
                for (const std::string& url : node->identity().kept.session) {
                    auto origin = http::parse_origin(url);
                    auto address = origin ? Address::parse(origin->host) : failed(origin.error());
                    if (address && prefix->contains(*address))
                        items.push_back(
                            {"ROUTE_OVERLAP", "warning",
                             fmt::format("the controller {} lies inside network {} {}",
                                         address->text(), network.name, prefix->text())});
                }
            }
        }
    }
}

local::SelfStatus Agent::self_status(const Node& node) const {
    local::SelfStatus self;
    self.name = node.identity().name();
    self.id = node.identity().node_id();
    self.tenant_id = node.identity().kept.tenant_id;
    self.state = is_wanted_up() ? node.state() : local::SelfState::Down;
    if (const auto& head = node.store().head()) {
        self.map_revision = std::to_string(node.store().map()->revision);
        self.map_age =
            std::chrono::duration_cast<std::chrono::seconds>(node.life().since_confirmed()).count();
        self.map_expires_at = head->expires_at;
    }
    if (auto times = certificate_times(node.identity()))
        self.certificate_expires_at = times->not_after;
    self.health = node.health();
    const auto& map = node.store().map();
    if (!map) return self;
    for (const auto& [id, network] : map->networks) {
        local::StatusNetwork out;
        out.id = id;
        out.name = network.name;
        const Moves::Network* places = moves_.of(id);
        const bool has_both =
            places && places->has(Carrier::Ipsec) && places->has(Carrier::Wireguard);
        const bool has_xfrm_alone = !has_both && carrier_of(network) == Carrier::Ipsec;
        out.device = has_xfrm_alone ? reconcile::xfrm_device_name(id) : reconcile::device_name(id);
        if (has_both) out.ipsec_device = reconcile::xfrm_device_name(id);
        out.data_plane = local_plane(network.data_plane);
        out.addresses = texts(network.self.addresses);
        if (const auto* keys = node.identity().network(id)) out.listen_port = keys->listen_port;
        const auto is_there = [&](const std::string& device) {
            return std::any_of(last_.links.begin(), last_.links.end(),
                               [&](const auto& link) { return link.device == device; });
        };
        const bool is_up =
            is_there(out.device) && (!out.ipsec_device || is_there(*out.ipsec_device));
        out.state = is_up ? "UP" : is_wanted_up() && node.map() ? "FAILED" : "DOWN";
        self.addresses.insert(self.addresses.end(), out.addresses.begin(), out.addresses.end());
        self.networks.push_back(std::move(out));
    }
    return self;
}

namespace {

// Those with whom there is no tunnel, after all that there are.
void add_behind(const model::MapNetwork& network, std::vector<local::StatusPeer>& peers) {
    const model::MapPeer* gateway = network.gateway();
    const auto through =
        std::find_if(peers.begin(), peers.end(), [&](const local::StatusPeer& peer) {
            return gateway && peer.id == gateway->node_id && peer.network_id == network.id;
        });
    const bool has_path = through != peers.end() && through->path != local::PathKind::None;
    for (const auto& [node_id, peer] : network.behind) {
        local::StatusPeer out;
        out.name = peer.name;
        out.id = node_id;
        out.network_id = network.id;
        out.addresses = texts(peer.addresses);
        out.path = has_path ? local::PathKind::Vrouter : local::PathKind::None;
        if (gateway) out.vrouter = gateway->name;
        out.data_plane = local::DataPlane::Wireguard;
        peers.push_back(std::move(out));
    }
}

}  // namespace

void Agent::add_peers(const Node& node, std::vector<local::StatusPeer>& peers) const {
    const auto& map = node.store().map();
    if (!map) return;
    const TunnelsSeen seen_now(ipsec_.status());
    for (const auto& [id, network] : map->networks) {
        const std::string device_name = reconcile::device_name(id);
        const PeersByKey seen_peers = peers_of(last_.wireguard_device(device_name));
        for (const auto& [node_id, peer] : network.peers) {
            local::StatusPeer out;
            out.name = peer.name;
            out.id = node_id;
            out.network_id = id;
            out.addresses = texts(peer.addresses);
            out.path = local::PathKind::None;
            if (route_to(network, peer) == Carrier::Ipsec) {
                show_tunnel(peer, seen_now, out);
                peers.push_back(std::move(out));
                continue;
            }
            out.data_plane = local::DataPlane::Wireguard;
            const auto key = wg::PublicKey::parse(peer.wireguard_key);
            const auto found = key ? seen_peers.find(*key) : seen_peers.end();
            if (found != seen_peers.end()) {
                const wg::Peer* seen = found->second;
                if (seen->endpoint) out.endpoint = seen->endpoint->text();
                out.last_handshake = seen->last_handshake;
                out.rx_bytes = static_cast<int64_t>(seen->rx_bytes);
                out.tx_bytes = static_cast<int64_t>(seen->tx_bytes);
                const PathTold told = path_of({device_name, seen->public_key});
                out.path = told.kind;
                out.rtt_ms = told.rtt_ms;
                if (told.relay) out.relay = told.relay->name;
            }
            for (const Prefix& route : peer.routes) out.routes.push_back(route.text());
            peers.push_back(std::move(out));
        }
        add_behind(network, peers);
    }
}

local::Status Agent::status() {
    glance();
    local::Status status;
    status.self.state = local::SelfState::NeedsEnrolment;
    const Node* self = self_node();
    for (const auto& node : nodes_) {
        if (node.get() == self)
            status.self = self_status(*node);
        else if (node->identity().kept.phase != state::Phase::Pending)
            status.others.push_back(self_status(*node));
        add_peers(*node, status.peers);
    }
    const auto machine = machine_health();
    status.self.health.insert(status.self.health.end(), machine.begin(), machine.end());
    if (self) status.notice = kNoPolicies;
    return status;
}

Result<local::PlanView> Agent::plan() {
    auto plan = reconcile::plan_only(*parts_.host, desired(reconcile::Scope::WireGuard));
    if (!plan) return failed(plan.error());
    return local::PlanView{plan->lines()};
}

Result<Agent::PeerPlace> Agent::find_peer(std::string_view name) {
    glance();
    const auto wanted = Address::parse(name);
    for (const auto& node : nodes_) {
        std::vector<local::StatusPeer> peers;
        add_peers(*node, peers);
        for (local::StatusPeer& peer : peers) {
            std::vector<Address> addresses;
            for (const std::string& text : peer.addresses)
                if (auto address = Address::parse(text)) addresses.push_back(*address);
            if (addresses.empty()) continue;
            const auto named =
                wanted ? std::find(addresses.begin(), addresses.end(), *wanted) : addresses.end();
            if (named == addresses.end() && peer.name != name && peer.id != name) continue;
            const Address to = named == addresses.end() ? addresses.front() : *named;
            std::string device = peer.data_plane == local::DataPlane::Ipsec
                                     ? reconcile::xfrm_device_name(*peer.network_id)
                                     : reconcile::device_name(*peer.network_id);
            return PeerPlace{std::move(peer), to, std::move(device), netns_of(*node)};
        }
    }
    return fail(Code::NotFound, "no peer '{}' in the map of this node", printable(name));
}

}  // namespace cvlan::agent
