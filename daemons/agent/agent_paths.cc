// SPDX-License-Identifier: Apache-2.0
// How peers are reached: what the Pathfinder finds goes to the kernel, peers that know of no path
// checks are left to the kernel's own tries, and the controller is told of both.

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "daemons/agent/agent.h"
#include "daemons/agent/underlay.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

using reconcile::Scope;

namespace {

constexpr std::chrono::seconds kSlept{15};  // as the Pathfinder sees it

local::PathKind kind_of(reach::Way way) {
    if (way == reach::Way::RelayUdp) return local::PathKind::RelayUdp;
    if (way == reach::Way::RelayTls) return local::PathKind::RelayTls;
    return local::PathKind::Direct;
}

const reconcile::WgPeer* wanted_peer(const reconcile::Desired& want, const PathKey& key) {
    for (const reconcile::WgDevice& device : want.wireguard) {
        if (device.device != key.first) continue;
        const auto found = std::lower_bound(
            device.peers.begin(), device.peers.end(), key.second,
            [](const reconcile::WgPeer& one, const wg::PublicKey& k) { return one.key < k; });
        if (found != device.peers.end() && found->key == key.second) return &*found;
    }
    return nullptr;
}

}  // namespace

void Agent::make_pathfinder() {
    if (!parts_.sockets) return;
    Pathfinder::Events events;
    events.write = [this](const std::vector<PathWrite>& writes) { write_paths(writes); };
    events.observe = [this] { glance(); };
    events.on_change = [this] {
        relays_->measured();
        report();
    };
    events.on_forgotten = [this] { doubt_connections(); };
    events.on_step = [this] { relays_->set_needs(pathfinder_->needs()); };
    events.on_bind = [this](const std::string& device, const Endpoint& from,
                            const stun::Message& answer) {
        relays_->took_bind(device, from, answer);
    };
    pathfinder_ =
        std::make_unique<Pathfinder>(parts_.loop, parts_.clock, *parts_.sockets, std::move(events));
}

void Agent::make_nat64() {
    nat64_ = std::make_shared<std::optional<reach::Nat64>>();
    parts_.host = std::make_unique<Nat64Host>(std::move(parts_.host), nat64_);
    if (parts_.sockets)
        parts_.sockets = std::make_unique<Nat64Sockets>(std::move(parts_.sockets), nat64_);
    if (!parts_.ask_nat64) return;
    nat64_search_ =
        std::make_unique<Nat64Search>(parts_.loop, random_bytes(1)[0], parts_.ask_nat64, [this] {
            read_underlay();
            soon();
        });
}

// What is known of paths, mappings and connections is of another network.
void Agent::network_changed(const reach::Underlay& now) {
    const bool has_lost =
        std::any_of(underlay_.own.begin(), underlay_.own.end(), [&](const Address& one) {
            return std::find(now.own.begin(), now.own.end(), one) == now.own.end();
        });
    underlay_ = now;
    *nat64_ = now.nat64;
    if (relays_) relays_->set_nat64(now.nat64);
    if (port_maps_) port_maps_->forget();
    if (pathfinder_) pathfinder_->set_underlay(underlay_);
    if (relays_) relays_->network_changed();
    // A connection from an address that is gone would only be noticed when it times out, and this
    // machine's new places are to be told at once.
    if (has_lost) reopen_sessions();
}

void Agent::reopen_sessions() {
    for (auto& node : nodes_)
        if (node->session()) node->open_session();
}

// What stands between may have forgotten them, and nobody else would say so.
void Agent::doubt_connections() {
    if (relays_) relays_->network_changed();
    reopen_sessions();
}

// Rounds come every few seconds: after a longer gap this machine was suspended, or its processes
// were stopped. A held query would wait for its own end, since timers do not count such a time.
void Agent::look_for_sleep() {
    const BootTime now = parts_.clock.since_boot();
    const auto gap = now - round_at_.value_or(now);
    round_at_ = now;
    if (gap <= kSlept) return;
    log::info("agent.woke", {{"after_s", std::chrono::floor<std::chrono::seconds>(gap).count()}});
    doubt_connections();
}

// A machine with a public address of its own needs no port mapped.
void Agent::read_gateway() {
    gateway_.reset();
    const bool is_public =
        std::any_of(underlay_.own.begin(), underlay_.own.end(),
                    [](const Address& own) { return own.is_v4() && !own.is_private(); });
    if (!port_maps_ || is_public || !underlay_.has_v4) return;
    if (auto gateway = parts_.read_gateway()) gateway_ = *gateway;
}

void Agent::follow_paths() {
    std::vector<Pathfinder::Network> networks;
    std::map<std::string, PortMaps::Wanted> mapped;
    for (auto& node : nodes_) {
        auto map = node->map();
        if (!map || !is_wanted_up()) continue;
        for (const auto& [id, network] : map->networks) {
            // What stands is known first: it would be left for a path that is no better.
            if (const auto key = tunnel_key(node->identity(), *map, id); key && ipsec_.has_seen())
                networks.push_back({reconcile::xfrm_device_name(id), ike::kNatPort, *key, map, id});
            const std::string name = reconcile::device_name(id);
            const auto device =
                std::find_if(last_want_.wireguard.begin(), last_want_.wireguard.end(),
                             [&](const auto& one) { return one.device == name; });
            if (device == last_want_.wireguard.end()) continue;
            networks.push_back({name, device->listen_port, device->key, map, id});
            mapped[name] = {device->listen_port, &device->key.private_key()};
        }
    }
    follow_relays();
    pathfinder_->set_servers(relays_->stun_servers());
    pathfinder_->follow(std::move(networks));
    if (!port_maps_) return;
    if (!is_wanted_up()) port_maps_->release();
    port_maps_->set(mapped, gateway_);
}

// Peers without a path get their next endpoint: a round of its own, so that a plan which is asked
// for shows what is wrong and not what is being tried.
void Agent::look_at_paths() {
    if (pathfinder_) follow_paths();
    const auto has_checks = [this](const PathKey& key) {
        return pathfinder_ && pathfinder_->speaks_checks(key);
    };
    bool has_choice = false;
    for (auto& node : nodes_) {
        const auto map = node->map();
        if (!map || !is_wanted_up()) continue;
        for (const auto& [id, network] : map->networks)
            if (const auto* device = last_.wireguard_device(reconcile::device_name(id)))
                has_choice =
                    paths_.look(network, underlay_, *device, moment(), has_checks) || has_choice;
    }
    tell_pathfinder();
    if (!has_choice) return;
    const int restless = restless_;
    const bool was_quiet = is_quiet_;
    apply(desired(Scope::WireGuard), Scope::WireGuard);
    paths_.settle();
    restless_ = restless;
    is_quiet_ = was_quiet;
}

void Agent::tell_pathfinder() {
    if (!pathfinder_) return;
    const auto is_live = [this](const PathKey& key) { return paths_.is_live(key, moment()); };
    for (const wg::Device& device : last_.wireguard) pathfinder_->look(device, is_live);
    tell_of_tunnels();
}

// What has been found to work goes to the kernel as it is: one message a device.
void Agent::write_paths(const std::vector<PathWrite>& writes) {
    std::vector<reconcile::Step> steps;
    take_tunnel_paths(writes);
    for (const PathWrite& write : writes) {
        const reconcile::WgPeer* peer = wanted_peer(last_want_, write.key);
        if (!peer) continue;
        const auto& [device, key] = write.key;
        if (paths_.is_live(write.key, moment())) relays_->moved(write.key, write.endpoint);
        if (write.is_anew) {
            reconcile::WgPeer anew = *peer;
            anew.endpoint = write.endpoint;
            steps.push_back(reconcile::RemovePeer{device, key});
            steps.push_back(reconcile::new_peer(device, anew));
        } else {
            steps.push_back(
                reconcile::SetPeer{.device = device, .key = key, .endpoint = write.endpoint});
        }
        log::info("agent.path", {{"dev", device},
                                 {"peer", key},
                                 {"endpoint", write.endpoint.text()},
                                 {"anew", write.is_anew}});
    }
    for (const auto& failure : parts_.host->apply(steps))
        log::warn("agent.path_not_set", {{"step", reconcile::text(steps[failure.index])},
                                         {"error", failure.error.message}});
}

// As it is for packets now: a session stands, and what is known of the way it goes.
PathTold Agent::path_of(const PathKey& key) const {
    PathTold told;
    if (!paths_.is_live(key, moment())) return told;
    told.kind = local::PathKind::Direct;
    if (!pathfinder_) return told;
    const auto view = pathfinder_->view(key);
    if (view.path) told.kind = kind_of(view.path->way);
    if (!view.path && view.speaks_checks && view.needs_relay) told.kind = local::PathKind::None;
    if (view.path && view.round_trip) told.rtt_ms = view.round_trip->count();
    if (view.path && !reach::is_direct(view.path->way))
        told.relay = relays_->name_of(key, view.path->to);
    return told;
}

// Where this machine can be reached, as far as it knows.
std::vector<Endpoint> Agent::places_of(const std::string& device, uint16_t port) const {
    std::vector<Endpoint> found;
    if (port_maps_)
        if (const auto external = port_maps_->external(device)) found.push_back(*external);
    if (pathfinder_)
        for (const Endpoint& seen : pathfinder_->seen_from_outside(device)) found.push_back(seen);
    return own_endpoints(parts_.config.advertise_endpoints, found, underlay_, port);
}

void Agent::report_endpoints(Node& node) {
    model::wire::EndpointReport report;
    const auto& map = node.store().map();
    for (const auto& network : node.identity().kept.networks) {
        // One network the controller does not know us in would spoil the whole report.
        const bool is_member =
            map ? map->networks.contains(network.network_id) : network.joined.value_or(false);
        if (!is_member) continue;
        const bool is_tunnel = map && is_ipsec(map->networks.at(network.network_id));
        const auto port = is_tunnel ? ike::kNatPort : static_cast<uint16_t>(network.listen_port);
        const std::string device = is_tunnel ? reconcile::xfrm_device_name(network.network_id)
                                             : reconcile::device_name(network.network_id);
        // Whose tag asks for IPsec has no device whose port could be looked for.
        const bool has_device =
            is_tunnel
                ? ipsec_.has_seen()
                : !map || carrier_of(map->networks.at(network.network_id)) == Carrier::Wireguard;
        const bool has_checks = pathfinder_ && has_device;
        // What STUN servers answer belongs into the first report: the next has to wait.
        if (has_checks && (!pathfinder_->follows(device) || pathfinder_->is_asking(device))) return;
        const auto own = places_of(device, port);
        if (has_checks) pathfinder_->set_places(device, own);
        report.networks.push_back({network.network_id, port, texts_of(own)});
    }
    if (relays_) report.relay_id = relays_->home_relay(node.identity().kept.tenant_id);
    if (!report.networks.empty()) node.reports().set_endpoints(report);
}

void Agent::report_health(Node& node) {
    const auto map = node.map();
    if (!map || !is_wanted_up()) return;
    model::wire::HealthReport report;
    for (const auto& [id, network] : map->networks) {
        tunnel_paths(network, report.peers);
        const wg::Device* device = last_.wireguard_device(reconcile::device_name(id));
        if (!device) continue;
        node.traffic().look(id, *device);
        std::map<wg::PublicKey, const wg::Peer*> seen;
        for (const wg::Peer& peer : device->peers) seen[peer.public_key] = &peer;
        for (const auto& [node_id, peer] : network.peers) {
            const auto key = wg::PublicKey::parse(peer.wireguard_key);
            const auto found = key ? seen.find(*key) : seen.end();
            if (found == seen.end() || report.peers.size() == kMostTold) continue;
            if (route_to(network, peer) == Carrier::Ipsec) continue;  // told above
            const PathTold told = path_of({device->name, *key});
            model::wire::PeerHealth& one = report.peers.emplace_back();
            one.network_id = id;
            one.node_id = node_id;
            one.path = told_as(told.kind);
            if (told.relay) one.relay_id = told.relay->id;
            // An address on lo says nothing to others.
            const bool has_endpoint =
                told.kind == local::PathKind::Direct || told.kind == local::PathKind::RelayUdp;
            if (has_endpoint && found->second->endpoint)
                one.endpoint = found->second->endpoint->text();
            one.rtt_ms = told.rtt_ms;
        }
    }
    node.traffic().keep_those_of(*map);
    report.traffic = node.traffic().told();
    node.reports().set_health(report);
}

}  // namespace cvlan::agent
