// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/agent.h"

#include <algorithm>

#include "base/log.h"
#include "base/version.h"
#include "daemons/agent/underlay.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

using reconcile::Scope;
using std::chrono::milliseconds;

namespace {

// WireGuard announces nothing, so its devices are read; the rest tells us, and is read now and then
// all the same (decisions.md).
constexpr std::chrono::seconds kWireguardEvery{4};
constexpr std::chrono::seconds kSearchEvery{2};
constexpr std::chrono::seconds kMoveEvery{1};  // peers that go from one device to the other
constexpr std::chrono::seconds kEverythingEvery{60};
// Events come in swarms: one round for all that come within so long, and no more than that.
constexpr milliseconds kSettle{250};
constexpr milliseconds kFloodPause{1500};
// Rounds which go on changing something are slowed down: someone else undoes our work.
constexpr int kFastRounds = 5;

}  // namespace

Agent::Agent(AgentParts parts)
    : parts_(std::move(parts)),
      boot_id_(read_boot_id()),
      ipsec_({parts_.loop, parts_.clock, parts_.make_keeper, parts_.watch_tunnels,
              [this] { tunnels_changed(); }, [this](const Address& to) { packet_waits(to); }}) {
    make_nat64();
    make_pathfinder();
    make_relays();
}
Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::open(AgentParts parts) {
    std::unique_ptr<Agent> agent(new Agent(std::move(parts)));
    if (auto finished = agent->parts_.dir.finish_removals(); !finished)
        log::error("agent.state_not_saved", {{"error", finished.error().message}});
    auto kept = load_agent(agent->parts_.dir);
    if (!kept) return failed(kept.error());
    agent->agent_ = std::move(*kept);
    agent->saved_agent_ = encode(agent->agent_);
    if (agent->relays_)
        agent->relays_->prefer_port(static_cast<uint16_t>(agent->agent_.relay_port.value_or(0)));
    auto identities = agent->parts_.dir.load_identities();
    if (!identities) return failed(identities.error());
    for (Identity& identity : *identities) agent->add_node(std::move(identity))->load_map();
    // Another version may understand what this one's predecessor had to leave out of the map.
    if (agent->agent_.agent_version != kVersion)
        for (auto& node : agent->nodes_) node->ask_full();
    agent->agent_.agent_version = kVersion;
    return agent;
}

Node* Agent::add_node(Identity identity) {
    NodeContext context{parts_.loop, parts_.clock,       parts_.dir,
                        boot_id_,    [this] { soon(); }, parts_.config.proxy};
    nodes_.push_back(std::make_unique<Node>(std::move(context), std::move(identity)));
    return nodes_.back().get();
}

Node* Agent::node_of(std::string_view tenant_id) {
    for (auto& node : nodes_)
        if (node->identity().kept.tenant_id == tenant_id) return node.get();
    return nullptr;
}

Node* Agent::self_node() {
    for (auto& node : nodes_)
        if (node->identity().kept.phase != state::Phase::Pending) return node.get();
    return nullptr;
}

void Agent::start() {
    read_underlay();
    // By which devices peers were reached is told by the kernel.
    if (auto seen = parts_.host->observe({}, Scope::Everything)) last_ = std::move(*seen);
    round(Scope::Everything);  // from the disk, before anyone is asked
    for (auto& node : nodes_)
        if (is_wanted_up()) node->open_session();
}

// What all identities want of the kernel. The indexes of new networks are saved before they are
// used; where that fails the tunnels matter more, and status tells.
reconcile::Desired Agent::desired(Scope scope) {
    reconcile::Desired want;
    moves_.keep_only([this](const std::string& id) {
        return is_wanted_up() && std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
                   const auto map = node->map();
                   return map && map->networks.contains(id);
               });
    });
    if (!is_wanted_up()) return want;
    const TunnelsSeen tunnels(ipsec_.status());
    for (auto& node : nodes_) {
        const auto map = node->map();
        // Without its map an identity wants nothing we know of: tunnels that stand are left
        // standing.
        if (node->has_lost_map()) leave_alone(*node, want);
        if (!map) continue;
        const WantedFrom from{node->identity(),
                              *map,
                              underlay_,
                              paths_,
                              moves_,
                              last_,
                              [&](const auto& id, const auto& peer, Carrier by) {
                                  return tunnel(tunnels, id, peer, by);
                              },
                              parts_.clock.since_boot(),
                              scope == Scope::Everything,
                              parts_.config.mtu};
        auto config = node_config(from, agent_);
        config.netns = netns_of(*node);
        want.add(reconcile::desired_state(*map, config));
    }
    if (std::string now = encode(agent_); now != saved_agent_) {
        auto saved = save_agent(parts_.dir, agent_);
        const std::string trouble = saved ? "" : saved.error().message;
        if (saved) saved_agent_ = std::move(now);
        if (!saved && trouble != save_trouble_)
            log::error("agent.state_not_saved", {{"error", trouble}});
        save_trouble_ = trouble;
    }
    return want;
}

std::string Agent::netns_of(const Node& node) const {
    if (!parts_.config.tenants_apart) return {};
    return std::string(reconcile::kTenantNetns) + node.identity().kept.tenant_id;
}

void Agent::leave_alone(const Node& node, reconcile::Desired& want) {
    for (const auto& network : node.identity().kept.networks) {
        const auto index = index_for(agent_, network.network_id);
        for (const std::string& device : {reconcile::device_name(network.network_id),
                                          reconcile::xfrm_device_name(network.network_id)})
            want.left_alone.push_back({device, index ? std::optional(*index) : std::nullopt});
    }
}

void Agent::soon() {
    soon_ = parts_.loop.after(milliseconds(0), [this] { round(Scope::Everything); });
}

void Agent::round(Scope scope) {
    if (is_watching_) return;
    soon_.cancel();
    look_for_sleep();
    apply(desired(scope), scope);
    if (scope == Scope::Everything) follow_tunnels();
    look_at_paths();
    report();
    wait_for_next();
}

void Agent::glance() {
    if (is_watching_) return;
    const bool was_quiet = is_quiet_;
    apply(desired(Scope::WireGuard), Scope::WireGuard);
    look_at_paths();
    if (was_quiet && !is_quiet_) soon();
}

void Agent::apply(reconcile::Desired want, Scope scope) {
    auto done = reconcile::run_round(*parts_.host, want, scope);
    if (!done) {
        if (problems_ != std::vector{done.error().message})
            log::error("agent.kernel_unreadable", {{"error", done.error().message}});
        problems_ = {done.error().message};
        ++figures_.rounds_failed;
        is_quiet_ = false;
        restless_ = kFastRounds + 1;  // no hurry: the next look in two seconds
        return;
    }
    tell_drift(*done);
    figures_.note(*done);
    if (parts_.config.metrics) figures_.traffic.look(done->observed.wireguard);
    note(*done);
    adjust(*done);
    paths_.keep_only(want);
    refused_ = want.refused;
    last_want_ = std::move(want);
}

// All was well for what was wanted then, and is not now: somebody changed what is ours.
void Agent::tell_drift(const reconcile::Round& round) {
    if (!is_quiet_ || round.plan.empty()) return;
    const reconcile::Plan repair = reconcile::diff(last_want_, round.observed);
    figures_.drift += repair.steps.size();
    for (const std::string& line : repair.lines()) log::warn("agent.drift", {{"repair", line}});
}

// Logs what was done, and keeps what status shows. An unchanged round logs nothing.
void Agent::note(reconcile::Round& round) {
    // A plan that fails as it did before is not told again every two seconds.
    auto lines = round.plan.lines();
    if (lines != last_lines_)
        for (const std::string& line : lines) log::info("agent.step", {{"step", line}});
    last_lines_ = std::move(lines);
    auto problems = round.problems();
    if (problems != problems_)
        for (const std::string& line : problems) log::error("agent.step_failed", {{"error", line}});
    problems_ = std::move(problems);
    restless_ = round.plan.empty() ? 0 : restless_ + 1;
    if (round.observed.scope == Scope::Everything) {
        everything_at_ = parts_.clock.since_boot();
        is_quiet_ = round.converged();
        last_ = std::move(round.observed);
    } else {
        if (!round.plan.empty()) is_quiet_ = false;
        last_.wireguard = std::move(round.observed.wireguard);
    }
}

// A port or an index which somebody else holds: take the next one, and say so.
void Agent::adjust(const reconcile::Round& round) {
    for (const auto& taken : round.ports_taken) {
        for (auto& node : nodes_)
            for (auto& network : node->identity().kept.networks) {
                if (reconcile::device_name(network.network_id) != taken.device) continue;
                network.listen_port = taken.port;  // choose_port leaves this one out
                auto chosen = choose_port(*node, network.network_id);
                tell_moved(fmt::format("UDP port {} is taken; network {} listens on {}", taken.port,
                                       network.network_id, network.listen_port));
                if (chosen)
                    log::warn("agent.port_taken", {{"dev", taken.device},
                                                   {"port", taken.port},
                                                   {"instead", network.listen_port}});
            }
    }
    bool has_moved = !round.ports_taken.empty();
    for (const uint32_t index : round.indexes_taken) {
        if (std::find(taken_indexes_.begin(), taken_indexes_.end(), index) == taken_indexes_.end())
            taken_indexes_.push_back(index);
        const auto slot = std::find_if(agent_.slots.begin(), agent_.slots.end(),
                                       [&](const auto& s) { return s.index == int64_t{index}; });
        if (slot == agent_.slots.end()) continue;
        const std::string network_id = slot->network_id;
        // Whatever was seen taken once is not tried again: two holders would send us to and fro.
        auto instead = move_index(agent_, network_id, taken_indexes_);
        if (!instead) continue;
        has_moved = true;
        tell_moved(fmt::format("index {} is held by something foreign; network {} uses {}", index,
                               network_id, *instead));
        log::warn("agent.index_taken", {{"index", index}, {"instead", *instead}});
    }
    if (has_moved) soon();
}

void Agent::tell_moved(std::string line) {
    if (std::find(moved_.begin(), moved_.end(), line) == moved_.end())
        moved_.push_back(std::move(line));
}

void Agent::report() {
    for (auto& node : nodes_) {
        report_endpoints(*node);
        report_health(*node);
        node->tick();
    }
    answer_waiters();
}

void Agent::wait_for_next() {
    const BootTime now = parts_.clock.since_boot();
    const bool is_everything_due = now - everything_at_ >= kEverythingEvery;
    if (!is_quiet_ && restless_ > 0 && restless_ <= kFastRounds) return soon();
    const bool is_between = moves_.is_moving() || moves_.is_lingering();
    const bool is_close =
        paths_.is_searching(moment()) || !waiters_.empty() || !is_quiet_ || is_between;
    const bool has_all = is_everything_due || !is_quiet_ || is_between;
    const auto pause = moves_.is_moving() ? kMoveEvery : is_close ? kSearchEvery : kWireguardEvery;
    next_ = parts_.loop.after(
        pause, [this, scope = has_all ? Scope::Everything : Scope::WireGuard] { round(scope); });
}

void Agent::kernel_changed() {
    if (settle_.pending()) return;
    // A flood (F51) is one look every so often, not one a message.
    const bool is_flood = parts_.clock.since_boot() - everything_at_ < kFloodPause;
    settle_ = parts_.loop.after(is_flood ? kFloodPause : kSettle, [this] {
        read_underlay();
        round(Scope::Everything);
    });
}

void Agent::read_underlay() {
    auto underlay = parts_.read_underlay();
    if (!underlay) {
        log::warn("agent.underlay_unreadable", {{"error", underlay.error().message}});
        return;
    }
    if (nat64_search_) {
        nat64_search_->look(underlay->has_v6 && !parts_.leads_v4(), underlay->own);
        underlay->nat64 = nat64_search_->found();
    }
    if (*underlay != underlay_) network_changed(*underlay);
    read_gateway();
    const auto inventory = read_inventory(parts_.config.report_mac_addresses);
    for (auto& node : nodes_) node->reports().set_inventory(inventory);
}

}  // namespace cvlan::agent
