// SPDX-License-Identifier: Apache-2.0
#pragma once

// The agent: map arrives -> desired -> observe -> diff -> apply -> report -> wait. agent.cc is that
// way on one page; agent_paths.cc and agent_relays.cc are how peers are reached, agent_tunnels.cc
// is IPsec, up.cc what an administrator asks of it. All runs on the loop's thread. Ending an Agent
// changes nothing in the kernel.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "daemons/agent/figures.h"
#include "daemons/agent/ipsec.h"
#include "daemons/agent/moves.h"
#include "daemons/agent/node.h"
#include "daemons/agent/parts.h"
#include "daemons/agent/pathfinder.h"
#include "daemons/agent/port_maps.h"
#include "daemons/agent/relay_links.h"
#include "daemons/agent/wanted.h"
#include "model/local.h"
#include "reconcile/reconciler.h"

namespace cvlan::agent {

class Agent {
public:
    // Reads the state. Code::Malformed where an identity can not be read.
    static Result<std::unique_ptr<Agent>> open(AgentParts parts);
    ~Agent();

    // Adopts what the kernel holds, from the map on the disk, then asks the controller.
    void start();
    void kernel_changed();  // links, addresses, routes or rules are not as they were

    // What cvlanctl asks. Each answers once, on the loop.
    template <class T>
    using Done = std::function<void(Answer<T>)>;
    local::Status status();
    Result<local::PlanView> plan();
    // Measures anew: 5 s at most, once a second at most.
    void netcheck(Done<local::NetcheckReport> done);
    void up(const local::UpRequest& request, Done<local::UpResult> done);
    Answer<local::DownResult> down();
    void logout(const Done<local::LogoutResult>& done);
    void ipsec_list(const Done<local::IpsecList>& done);
    void ipsec_change(ike::Ask::What what, const std::string& name,
                      const Done<local::IpsecResult>& done);

    std::string metrics() const;  // as Prometheus reads it
    bool is_ready() const;        // there is a map for each enrolment, or none is wanted

    // A peer by name, id or overlay address, for ping.
    struct PeerPlace {
        local::StatusPeer peer;
        Address address;
        std::string device;
        std::string netns{};  // the name of the device's namespace; empty: the program's own
    };
    Result<PeerPlace> find_peer(std::string_view name);

    // Enrols if `token` is not empty, asks for the map once, tells the plan. The kernel stays.
    void bootstrap(const std::string& token, const Done<local::PlanView>& done);

private:
    void enrol(const std::string& token, const std::optional<std::string>& name, Done<Node*> done);
    reconcile::Desired desired(reconcile::Scope scope);  // of a round; peers move in those of all
    void leave_alone(const Node& node, reconcile::Desired& want);
    std::string netns_of(const Node& node) const;  // as Link's
    struct Waiter {
        std::string tenant_id;   // empty: any
        std::string network_id;  // empty: any
        BootTime deadline{};
        Done<local::UpResult> done;
    };
    struct Enrolling;

    explicit Agent(AgentParts parts);
    Node* add_node(Identity identity);
    Node* node_of(std::string_view tenant_id);
    // The oldest identity that a controller has confirmed: `self` of status. nullptr: none.
    Node* self_node();
    bool is_wanted_up() const { return agent_.wanted == state::Wanted::Up; }

    // The way.
    void soon();  // a round of everything, when the loop comes round
    void round(reconcile::Scope scope);
    void glance();  // WireGuard as it is this moment, for someone who asks; puts off no round
    void apply(reconcile::Desired want, reconcile::Scope scope);
    void tell_drift(const reconcile::Round& round);
    void adjust(const reconcile::Round& round);
    void tell_moved(std::string line);
    void report();
    void wait_for_next();
    void note(reconcile::Round& round);
    void read_underlay();
    // How peers are reached.
    void make_nat64();
    void make_pathfinder();
    void read_gateway();
    void follow_paths();
    std::vector<Endpoint> places_of(const std::string& device, uint16_t port) const;
    void look_at_paths();
    void tell_pathfinder();
    void write_paths(const std::vector<PathWrite>& writes);
    void report_endpoints(Node& node);
    void report_health(Node& node);
    PathTold path_of(const PathKey& key) const;
    void make_relays();
    void begin_netcheck();
    bool is_measuring() const;
    void answer_netchecks();
    local::NetcheckReport netcheck_report() const;
    RelayMember relay_member(const Node& node);
    void follow_relays();
    void network_changed(const reach::Underlay& now);
    void reopen_sessions();
    void doubt_connections();
    void look_for_sleep();

    // What goes by IPsec.
    void follow_tunnels();
    Pathfinder::Sighted sighted(const TunnelsSeen& tunnels, const std::string& network_id,
                                const model::MapPeer& peer, const wg::PublicKey& key) const;
    void tell_of_tunnels();
    void packet_waits(const Address& to);
    void take_tunnel_paths(const std::vector<PathWrite>& writes);
    PathTold tunnel_path(const PathKey& key, const TunnelSeen& seen) const;
    void show_tunnel(const model::MapPeer& known, const TunnelsSeen& tunnels,
                     local::StatusPeer& peer) const;
    void tunnels_changed();
    Moves::Tunnel tunnel(const TunnelsSeen& tunnels, const std::string& network_id,
                         const model::MapPeer& peer, Carrier) const;
    Carrier route_to(const model::MapNetwork& network, const model::MapPeer& peer) const;
    void tunnel_paths(const model::MapNetwork& network,
                      std::vector<model::wire::PeerHealth>& told) const;
    std::vector<local::HealthItem> machine_health() const;
    void overlap_health(std::vector<local::HealthItem>& items) const;
    local::SelfStatus self_status(const Node& node) const;
    void add_peers(const Node& node, std::vector<local::StatusPeer>& peers) const;
    void write_identities(metrics::Text& text) const;
    reach::Moment moment() const { return {parts_.clock.since_boot(), parts_.clock.now()}; }

    void answer_waiters();
    bool is_converged(const Waiter& waiter);
    local::UpResult up_result(bool converged, const std::string& tenant_id);
    std::string what_is_missing();
    Result<void> choose_port(Node& node, const std::string& network_id);
    void send_enrolment(const std::shared_ptr<Enrolling>& work);
    void enrolled(const std::shared_ptr<Enrolling>& work, const Answer<http::Response>& answer);
    Result<void> forget(Node& node);
    Result<void> set_wanted(state::Wanted wanted);
    Answer<void> bring_up();
    void rest_if_down();

    AgentParts parts_;
    state::AgentState agent_;
    std::string saved_agent_;
    std::string save_trouble_;             // of agent_
    std::vector<uint32_t> taken_indexes_;  // that foreigners were seen to hold
    std::string boot_id_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<std::unique_ptr<Node>> gone_;
    std::vector<Waiter> waiters_;

    reach::Underlay underlay_;
    std::shared_ptr<std::optional<reach::Nat64>> nat64_;  // that of underlay_, for the edges
    std::unique_ptr<Nat64Search> nat64_search_;
    Paths paths_;
    std::unique_ptr<Pathfinder> pathfinder_;
    std::unique_ptr<RelayLinks> relays_;
    std::optional<Gateway> gateway_;  // where a port is to be mapped at it
    std::unique_ptr<PortMaps> port_maps_;
    Moves moves_;
    Ipsec ipsec_;
    Figures figures_;
    reconcile::Observed last_;             // of the last round: for status
    reconcile::Desired last_want_;         // of the last round: for drift
    std::vector<std::string> problems_;    // of the last round
    std::vector<std::string> last_lines_;  // of the last plan: told once
    std::vector<std::string> refused_;     // of the maps: what can not be programmed
    bool is_quiet_ = false;                // the last round of everything had an empty plan
    std::vector<std::string> moved_;       // health: ports and indexes that had to give way
    std::string enrolment_trouble_;
    BootTime everything_at_{};
    std::optional<BootTime> round_at_;  // of the last one
    int restless_ = 0;                  // rounds in a row which changed something
    bool is_watching_ = false;          // --bootstrap: no round, only a plan
    std::vector<Done<local::NetcheckReport>> netchecks_;
    BootTime netcheck_until_{};
    std::optional<BootTime> netchecked_at_;
    Timer netcheck_look_, soon_, next_, settle_, burial_;
};

}  // namespace cvlan::agent
