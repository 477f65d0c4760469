// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller's side of the map: what changed -> one signed fragment -> the deltas of the nodes
// it concerns. A fragment (a peer, a network or a connection, in the scope of one network; a relay
// or whom relays must not serve, in the tenant's) is encoded and signed once, where it changes, and
// so is a delta: all who have the same revision of the same networks get the same bytes. A node
// costs a signature only when its head is renewed. A change costs one fragment, however many
// members its network has: it names the network, not them.
//
// A node hears of its networks and of the tenant's relays, and a network's gateway of its
// connections to foreign sites, which are in nobody else's map. A relay hears of relays and of whom
// it must not serve: nothing about any other node comes into its map.
//
// Belongs to one thread. Fragments are immutable and outlive their replacement while an answer is
// on its way. Wire format: api/openapi.yaml, NodeMap.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "maps/quarantine.h"
#include "model/objects.h"
#include "model/wire.h"
#include "store/store.h"

namespace cvlan::maps {

// Signs with the tenant's map key. Code::NotFound where there is none.
using Sign = std::function<Result<model::wire::SignedBytes>(const std::string& tenant_id,
                                                            std::string payload)>;

// What a poll has: "<epoch>.<revision>".
struct Since {
    int64_t epoch = 0;
    int64_t revision = 0;
    static Result<Since> parse(std::string_view text);
};

struct Counters {
    uint64_t fragments_encoded = 0;
    uint64_t node_maps_touched = 0;
    uint64_t deltas_encoded = 0;  // the others of `deltas` were shared
    uint64_t heads_signed = 0;
    uint64_t full_maps = 0;
    uint64_t deltas = 0;
    uint64_t bytes_full = 0;
    uint64_t bytes_delta = 0;
};

// Whose map a change touched: all members of these networks, and these nodes besides.
struct Touched {
    std::set<std::string> networks;
    std::set<std::string> nodes;
    bool empty() const { return networks.empty() && nodes.empty(); }
};

// An event with what it changed, as the store holds it now.
struct Change {
    store::Event event;
    int64_t epoch = 0;
    std::optional<model::Network> network{};
    std::vector<store::MapMember> members{};  // of the network, that are other than before by it
    std::optional<model::Node> node{};
    std::optional<model::MapExpiry> map_expiry{};
    std::optional<store::MapRelay> relay{};
    std::optional<model::Object> region{};
    std::optional<model::Connection> connection{};
};
// From whichever thread tells the event, so that the maps' own never waits for the database. An
// object that is gone already is left out: the event that says so is on its way.
Result<Change> read_change(const store::Event& event, store::Store& store);

struct Barring;

class Maps {
public:
    Maps(Sign sign, const Clock& clock);
    ~Maps();

    // A tenant as the store holds it; replaces what is known of it. An object that can not be
    // encoded is left out and named in the log: it never spoils another's map. Touched are all
    // networks and nodes that it has, and had. A node's next map is a full one where something was
    // removed, or the node came in, after the map that it has.
    Touched load(const std::string& tenant_id, int64_t epoch, const store::MapInputs& inputs);
    void drop_tenant(const std::string& tenant_id);
    // What is known of the tenant is not what the store holds: until it is loaded anew, its polls
    // and events are Code::Unavailable. Half a change must not go out under its revision.
    void hold_back(const std::string& tenant_id);

    // Each after its commit; `revision` is the tenant's new one. NotFound for an unknown tenant or
    // network.
    Result<Touched> put_network(const model::Network& network, int64_t revision,
                                const std::vector<store::MapMember>& changed = {});
    Result<Touched> remove_network(const std::string& tenant_id, const std::string& network_id,
                                   int64_t revision);
    // The node's entry in every network it is a member of; it leaves those it is in no longer. One
    // that waits for approval is in none: its own map is empty.
    Result<Touched> put_node(const model::Node& node, int64_t revision);
    Result<Touched> remove_node(const std::string& tenant_id, const std::string& node_id,
                                int64_t revision);

    // Every node hears of a relay that can be used: it names a node that is in as one, and
    // endpoints. A region is in the maps by its name.
    Result<Touched> put_relay(const store::MapRelay& relay, int64_t revision);
    Result<Touched> remove_relay(const std::string& tenant_id, const std::string& relay_id,
                                 int64_t revision);
    Result<Touched> put_region(const model::Object& region, int64_t revision);

    // The network's gateway hears of it, and nobody else.
    Result<Touched> put_connection(const model::Connection& connection, int64_t revision);
    Result<Touched> remove_connection(const std::string& tenant_id, const std::string& id,
                                      int64_t revision);

    // Every node of the tenant gets a new head.
    Result<Touched> set_map_expiry(const std::string& tenant_id, model::MapExpiry expiry);

    // The answer to a poll: 200 with FULL or DELTA; nullopt while nothing is new, or `since` is of
    // a revision that is still to come. NotFound: no such node; Unavailable: the tenant is held
    // back.
    Result<std::optional<http::Response>> answer(const std::string& tenant_id,
                                                 const std::string& node_id,
                                                 std::optional<Since> since);

    // The networks whose changes the node hears of; none where it is unknown.
    std::vector<std::string> networks_of(const std::string& tenant_id, const std::string& node_id);

    // Changes of a tenant come in their order; one that load() has had already changes nothing. A
    // failure holds the tenant back.
    Result<Touched> apply(const Change& change);

    const Counters& counters() const { return counters_; }
    // Any thread may ask it.
    const Quarantine& quarantine() const { return quarantine_; }

private:
    struct Fragment;
    struct Shelf;
    struct Network;
    struct Node;
    struct Relay;
    struct Tenant;

    Result<std::shared_ptr<const Fragment>> encode(const Tenant& tenant,
                                                   const model::wire::MapFragment& fragment);
    struct Update;  // one change on its way in

    Result<void> publish(Update& update, const model::wire::MapFragment& fragment);
    Result<void> let_in(Update& update, const model::Node& node);
    void load_members(Update& update, const store::MapInputs& inputs);
    void load_relays(Update& update, const store::MapInputs& inputs);
    void load_connections(Update& update, const store::MapInputs& inputs);
    static void set_gateway(Update& update, const std::string& network_id,
                            const std::string& node_id, bool is_gateway);
    Result<void> show_relay(Update& update, Relay& entry);
    Result<void> show_relays_on(Update& update, const std::string& node_id);
    // At the relays: nothing is forwarded for the node in the network, or in any where that is
    // empty.
    Result<void> bar(Update& update, const std::string& node_id, const std::string& network_id);
    Result<void> put_barring(Update& update, const Barring& barring);
    Result<void> lift(Update& update, const std::string& node_id, const std::string& network_id);
    Result<void> publish_membership(Update& update, const model::Node& node,
                                    const model::Membership& membership);
    Result<void> withdraw(Update& update, const std::string& network_id,
                          const std::string& node_id);
    Result<Touched> counted(Update update);
    Result<Touched> bring_in(const Change& change);
    Result<Touched> remove_object(const store::Event& event);
    Touched nodes_of(const std::string& tenant_id);
    // True where there is no fault; else the object is quarantined.
    bool is_fit(const Place& place, const std::optional<std::string>& fault);
    Result<std::string> sign_head(const Tenant& tenant, const std::string& node_id, Node& node);
    using Fragments = std::vector<std::shared_ptr<const Fragment>>;
    static bool needs_full(const Tenant& tenant, const Node& node,
                           const std::optional<Since>& since);
    static Fragments fragments_of(const Tenant& tenant, const Node& node,
                                  std::optional<int64_t> since);
    http::Response respond(const Tenant& tenant, bool is_full, const std::string& head,
                           const Fragments& fragments);
    std::optional<http::Response> delta(Tenant& tenant, const Node& node, int64_t since);
    Tenant* find(const std::string& tenant_id);

    Sign sign_;
    const Clock& clock_;
    std::map<std::string, std::unique_ptr<Tenant>> tenants_;
    Counters counters_;
    Quarantine quarantine_;
};

}  // namespace cvlan::maps
