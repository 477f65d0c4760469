// SPDX-License-Identifier: Apache-2.0
// What an agent counts, as Prometheus reads it. By tenant, of which a machine has a few; not by
// peer.
#include "base/metrics.h"

#include <algorithm>
#include <array>

#include "base/version.h"
#include "daemons/agent/agent.h"
#include "daemons/agent/enrolment.h"

namespace cvlan::agent {

namespace {

using metrics::Label;
using metrics::Text;

constexpr std::array kPaths{local::PathKind::Direct, local::PathKind::RelayUdp,
                            local::PathKind::RelayTls, local::PathKind::Vrouter,
                            local::PathKind::None};

void write_peers(Text& text, const std::vector<local::StatusPeer>& peers) {
    text.begin({"cvlan_agent_peers", "Peers, by the path that packets take to them now."}, "gauge");
    for (const local::PathKind kind : kPaths) {
        const auto count = std::count_if(peers.begin(), peers.end(),
                                         [&](const auto& peer) { return peer.path == kind; });
        const Label label{"path", local::text(kind)};
        text.sample({&label, 1}, static_cast<double>(count));
    }
}

void write_figures(Text& text, const Figures& figures) {
    text.counter({"cvlan_agent_rounds_total", "Looks at the kernel, each with its plan."},
                 figures.rounds);
    text.counter({"cvlan_agent_rounds_failed_total", "Looks that failed: nothing was changed."},
                 figures.rounds_failed);
    text.counter({"cvlan_agent_steps_applied_total", "Steps of plans that the kernel took."},
                 figures.steps);
    text.counter({"cvlan_agent_steps_failed_total", "Steps that the kernel did not take."},
                 figures.steps_failed);
    text.counter({"cvlan_agent_drift_repaired_total",
                  "Steps that put right what somebody else had changed."},
                 figures.drift);
    text.counter({"cvlan_agent_wireguard_receive_bytes_total", "Bytes from all peers."},
                 figures.traffic.rx_bytes());
    text.counter({"cvlan_agent_wireguard_transmit_bytes_total", "Bytes to all peers."},
                 figures.traffic.tx_bytes());
    text.counter({"cvlan_agent_wireguard_handshakes_total",
                  "Handshakes with all peers, as far as they were seen: at most one a look."},
                 figures.traffic.handshakes());
}

// One figure of each identity.
template <class Value>
void write_nodes(Text& text, const metrics::Name& name,
                 const std::vector<std::unique_ptr<Node>>& nodes, Value value) {
    text.begin(name, "gauge");
    for (const auto& node : nodes) {
        const std::optional<double> now = value(*node);
        const Label label{"tenant", node->identity().kept.tenant_id};
        if (now) text.sample({&label, 1}, *now);
    }
}

double seconds(WallTime time) { return static_cast<double>(unix_ms(time)) / 1000; }

}  // namespace

void Agent::write_identities(Text& text) const {
    using Value = std::optional<double>;
    write_nodes(text, {"cvlan_agent_controller_connected", "1 while the controller answers."},
                nodes_, [](const Node& node) -> Value { return node.is_reached() ? 1 : 0; });
    write_nodes(text, {"cvlan_agent_map_revision", "Of the map that is in force."}, nodes_,
                [](const Node& node) -> Value {
                    const auto& map = node.store().map();
                    if (!map) return std::nullopt;
                    return static_cast<double>(map->revision);
                });
    write_nodes(text,
                {"cvlan_agent_map_age_seconds",
                 "Since the controller last said that the map is "
                 "the current one."},
                nodes_, [](const Node& node) -> Value {
                    if (!node.store().head()) return std::nullopt;
                    return std::chrono::duration<double>(node.life().since_confirmed()).count();
                });
    write_nodes(text,
                {"cvlan_agent_certificate_expiry_timestamp_seconds",
                 "When the certificate for the controller ends."},
                nodes_, [](const Node& node) -> Value {
                    const auto times = certificate_times(node.identity());
                    if (!times) return std::nullopt;
                    return seconds(times->not_after);
                });
}

std::string Agent::metrics() const {
    Text text;
    text.begin({"cvlan_agent_build_info", "Always 1; the label tells which program this is."},
               "gauge");
    const Label version{"version", kVersion};
    text.sample({&version, 1}, 1);
    text.gauge({"cvlan_agent_wanted_up", "0 after `cvlanctl down`."}, is_wanted_up() ? 1 : 0);
    std::vector<local::StatusPeer> peers;
    for (const auto& node : nodes_) add_peers(*node, peers);
    write_peers(text, peers);
    write_figures(text, figures_);
    write_identities(text);
    metrics::write_process(text);
    return text.take();
}

bool Agent::is_ready() const {
    if (!is_wanted_up()) return true;
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
        return !node->identity().is_enrolled() || node->map();
    });
}

}  // namespace cvlan::agent
