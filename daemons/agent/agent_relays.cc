// SPDX-License-Identifier: Apache-2.0
// How relays come in: RelayLinks is told of this machine's identities and of peers in need, the
// Pathfinder of what relays can carry.

#include <algorithm>

#include "base/bytes.h"
#include "daemons/agent/agent.h"
#include "daemons/agent/enrolment.h"
#include "daemons/agent/netcheck.h"
#include "http/tunnel.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

constexpr std::chrono::seconds kNetcheckTime{5};
// Who may read is not to have us ask the controller and relays without end.
constexpr std::chrono::seconds kNetcheckPause{1};

}  // namespace

// Without path checks nobody would know whether a relayed path works.
void Agent::make_relays() {
    if (!pathfinder_) return;
    RelayLinks::Options options;
    options.fwmark = reconcile::kMarkBase;
    const Bytes random = random_bytes(1);
    options.seed = random[0];
    if (auto proxy = http::parse_proxy(parts_.config.proxy))
        options.proxy = relay::HttpProxy{proxy->host, proxy->port, std::move(proxy->authorization)};
    RelaySeam seam;
    seam.on_relayed = [this](const PathKey& key, const RelayedPlaces& places) {
        pathfinder_->set_relayed(key, places);
    };
    seam.on_changed = [this] {
        pathfinder_->set_servers(relays_->stun_servers());
        report();
    };
    seam.send_stun = [this](const std::string& device, const Endpoint& to, ByteView datagram) {
        return parts_.sockets->send(device, {.to = to, .payload = datagram});
    };
    seam.probe = [this](const Endpoint& server) { pathfinder_->probe(server); };
    seam.round_trip = [this](const Endpoint& server) { return pathfinder_->round_trip(server); };
    relays_ = std::make_unique<RelayLinks>(parts_.loop, parts_.clock, std::move(options),
                                           std::move(seam));
}

// A node may be gone when its relays are still to be told so: it is looked up.
RelayMember Agent::relay_member(const Node& node) {
    const state::IdentityState& kept = node.identity().kept;
    RelayMember member;
    member.tenant_id = kept.tenant_id;
    member.node_id = node.identity().node_id();
    member.trust_domain = kept.trust_domain.value_or("");
    member.map = node.map();
    member.certificate_pem = kept.certificate.value_or("");
    member.folder = parts_.dir.folder_of(kept.tenant_id);
    member.credentials = [this, tenant = kept.tenant_id] {
        const Node* now = node_of(tenant);
        return now ? enrolee::session_credentials(now->identity()) : Credentials{};
    };
    member.call = [this, tenant = kept.tenant_id](Controller::Call call, Controller::Done done) {
        Node* now = node_of(tenant);
        if (!now || !now->session()) return false;
        now->session()->call(std::move(call), std::move(done));
        return true;
    };
    for (const auto& network : kept.networks) {
        const auto key = member.map ? tunnel_key(node.identity(), *member.map, network.network_id)
                                    : std::nullopt;
        if (key)
            member.networks.push_back({network.network_id,
                                       reconcile::xfrm_device_name(network.network_id),
                                       key->public_key(), ike::kNatPort});
        const std::string name = reconcile::device_name(network.network_id);
        const auto device = std::find_if(last_want_.wireguard.begin(), last_want_.wireguard.end(),
                                         [&](const auto& one) { return one.device == name; });
        if (device != last_want_.wireguard.end())
            member.networks.push_back(
                {network.network_id, name, device->key.public_key(), device->listen_port});
    }
    return member;
}

void Agent::follow_relays() {
    if (!relays_) return;
    std::vector<RelayMember> members;
    for (const auto& node : nodes_)
        if (is_wanted_up() && node->identity().is_enrolled())
            members.push_back(relay_member(*node));
    relays_->set_members(std::move(members));
    // On the disk with the next round.
    if (const uint16_t port = relays_->port()) agent_.relay_port = port;
}

// Who asks while one is under way waits for that one; who asks right after it, for the next.
void Agent::netcheck(Done<local::NetcheckReport> done) {
    netchecks_.push_back(std::move(done));
    if (netchecks_.size() > 1) return;
    const BootTime now = parts_.clock.since_boot();
    const BootTime from = netchecked_at_ ? *netchecked_at_ + kNetcheckPause : now;
    if (from <= now) return begin_netcheck();
    netcheck_look_ =
        parts_.loop.after(std::chrono::duration_cast<std::chrono::milliseconds>(from - now),
                          [this] { begin_netcheck(); });
}

void Agent::begin_netcheck() {
    if (pathfinder_) pathfinder_->measure();
    if (relays_) relays_->measure();
    for (const auto& node : nodes_) node->ask();
    netcheck_until_ = parts_.clock.since_boot() + kNetcheckTime;
    constexpr std::chrono::milliseconds kLook{50};
    netcheck_look_ = parts_.loop.every(kLook, [this] {
        if (!is_measuring() || parts_.clock.since_boot() >= netcheck_until_) answer_netchecks();
    });
}

bool Agent::is_measuring() const {
    const bool is_searching = port_maps_ && gateway_ &&
                              port_maps_->current().value_or(reach::MappedPort()).status ==
                                  reach::MappingStatus::Searching;
    const bool is_asking = std::any_of(nodes_.begin(), nodes_.end(),
                                       [](const auto& node) { return !node->is_asked(); });
    return is_searching || is_asking || (pathfinder_ && pathfinder_->is_measuring());
}

void Agent::answer_netchecks() {
    netcheck_look_.cancel();
    netchecked_at_ = parts_.clock.since_boot();
    const auto report = netcheck_report();
    for (const auto& done : std::exchange(netchecks_, {})) done(report);
}

local::NetcheckReport Agent::netcheck_report() const {
    NetcheckFacts facts;
    facts.underlay = underlay_;
    // One device is like another: they differ by their port alone.
    for (const reconcile::WgDevice& device : last_want_.wireguard) {
        if (!pathfinder_ || facts.v4.mapped || facts.v6.mapped) break;
        facts.v4 = pathfinder_->discovered(device.device, Family::V4).value_or(facts.v4);
        facts.v6 = pathfinder_->discovered(device.device, Family::V6).value_or(facts.v6);
    }
    if (port_maps_) facts.mapped = port_maps_->current();
    facts.maps_ports = gateway_.has_value();
    if (relays_) facts.relays = relays_->relays();
    // Nothing is sent: where packets to some public address would go.
    facts.mtu = path_mtu({*Address::parse("192.0.2.1"), 9}, reconcile::kMarkBase);
    if (!facts.mtu) facts.mtu = path_mtu({*Address::parse("2001:db8::1"), 9}, reconcile::kMarkBase);
    for (const auto& node : nodes_)
        if (const auto is_so = node->is_intercepted())
            facts.is_intercepted = *is_so || facts.is_intercepted.value_or(false);
    return netcheck_of(facts);
}

}  // namespace cvlan::agent
