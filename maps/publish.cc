// SPDX-License-Identifier: Apache-2.0
// Networks and nodes that changed: one fragment each, and who hears of it.
#include "base/log.h"
#include "maps/fragments.h"
#include "maps/maps.h"
#include "maps/tenant.h"

namespace cvlan::maps {

namespace wire = model::wire;

Maps::Maps(Sign sign, const Clock& clock) : sign_(std::move(sign)), clock_(clock) {}
Maps::~Maps() = default;

Maps::Tenant* Maps::find(const std::string& tenant_id) {
    const auto found = tenants_.find(tenant_id);
    return found == tenants_.end() ? nullptr : found->second.get();
}

Result<std::shared_ptr<const Maps::Fragment>> Maps::encode(const Tenant& tenant,
                                                           const wire::MapFragment& fragment) {
    auto signed_bytes = sign_(tenant.id, wire::encode(fragment));
    if (!signed_bytes) return failed(signed_bytes.error().while_doing("sign a map fragment"));
    counters_.fragments_encoded++;
    auto encoded = std::make_shared<Fragment>();
    encoded->revision = fragment.revision;
    encoded->removed = fragment.removed.value_or(false);
    encoded->key = key_of(fragment.kind, fragment.id);
    encoded->json = std::make_shared<const std::string>(wire::encode(*signed_bytes));
    return encoded;
}

Result<void> Maps::publish(Update& update, const wire::MapFragment& fragment) {
    auto encoded = encode(update.tenant, fragment);
    if (!encoded) return failed(encoded.error());
    update.tenant.shelf_of(fragment).put(std::move(*encoded));
    update.touches_all |= fragment.kind == wire::FragmentKind::Relay;
    update.touches_relays |= fragment.kind == wire::FragmentKind::Barred;
    if (fragment.kind == wire::FragmentKind::Connection) {
        const auto& gateways = update.tenant.networks[fragment.scope].gateways;
        update.touched.nodes.insert(gateways.begin(), gateways.end());
    } else if (fragment.scope != update.tenant.id) {
        update.touched.networks.insert(fragment.scope);
    }
    return {};
}

// The tenant is at the update's revision from here on.
Result<Touched> Maps::counted(Update update) {
    Tenant& tenant = update.tenant;
    tenant.revision = std::max(tenant.revision, update.revision);
    tenant.deltas.clear();
    for (const std::string& id : update.touched.networks)
        counters_.node_maps_touched += tenant.networks[id].members;
    const auto touch = [&](const std::string& id) {
        counters_.node_maps_touched += update.touched.nodes.insert(id).second ? 1 : 0;
    };
    // It is seldom that all hear of a change: their polls need not wait for the tenant as such.
    if (update.touches_all)
        for (const auto& [id, node] : tenant.nodes) touch(id);
    else if (update.touches_relays)
        for (const std::string& id : tenant.relay_nodes) touch(id);
    return std::move(update.touched);
}

bool Maps::is_fit(const Place& place, const std::optional<std::string>& fault) {
    if (quarantine_.put(place, fault, clock_.now()) && fault)
        log::error("maps.object_quarantined", {{"tenant", place.tenant_id},
                                               {"network", place.network_id},
                                               {"node", place.node_id},
                                               {"reason", *fault}});
    return !fault;
}

Result<Touched> Maps::put_network(const model::Network& network, int64_t revision,
                                  const std::vector<store::MapMember>& changed) {
    Tenant* tenant = find(network.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", network.tenant_id);
    // What its nodes have stays as it was.
    if (!is_fit({network.tenant_id, network.id}, fault_of(network))) return Touched{};
    tenant->networks[network.id].network = network;
    Update update{*tenant, revision};
    auto put = publish(update, network_fragment(network, revision));
    if (!put) return failed(put.error());
    for (const store::MapMember& member : changed) {
        const model::Membership& membership = member.membership;
        const auto node = tenant->nodes.find(membership.node_id);
        if (node == tenant->nodes.end() || !node->second.networks.contains(network.id)) continue;
        put = publish(update, peer_fragment(member.node_name, membership, revision));
        if (!put) return failed(put.error());
    }
    return counted(std::move(update));
}

// The store deletes none that has nodes; whoever is in it all the same gets a full map.
Result<Touched> Maps::remove_network(const std::string& tenant_id, const std::string& network_id,
                                     int64_t revision) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    Update update{*tenant, revision};
    for (auto& [id, node] : tenant->nodes) {
        node.gateway_of.erase(network_id);
        if (node.networks.erase(network_id) == 0) continue;
        node.networks_changed_at = revision;
        update.touched.nodes.insert(id);
    }
    counters_.node_maps_touched += update.touched.nodes.size();
    tenant->networks.erase(network_id);
    quarantine_.put({tenant_id, network_id}, std::nullopt, clock_.now());
    return counted(std::move(update));
}

Result<void> Maps::publish_membership(Update& update, const model::Node& node,
                                      const model::Membership& membership) {
    Tenant& tenant = update.tenant;
    if (quarantine_.has({tenant.id, membership.network_id})) return {};
    const auto network = tenant.networks.find(membership.network_id);
    if (network == tenant.networks.end())
        return fail(Code::NotFound, "maps: no network {}", membership.network_id);
    if (!is_fit({tenant.id, network->first, node.id},
                fault_of(node.name, membership, network->second.network)))
        return {};
    Node& entry = tenant.nodes[node.id];
    if (entry.networks.insert(membership.network_id).second) {
        entry.networks_changed_at = update.revision;
        ++network->second.members;
        update.touched.nodes.insert(node.id);  // which waits for its other networks alone
        if (auto lifted = lift(update, node.id, membership.network_id); !lifted) return lifted;
    }
    set_gateway(update, membership.network_id, node.id, membership.gateway);
    // A membership that did not change keeps its fragment: a node in ten networks with one new
    // endpoint costs one.
    const Fragment* old = network->second.live(key_of(wire::FragmentKind::Peer, node.id));
    if (old && old->revision >= membership.revision) return {};
    return publish(update, peer_fragment(node.name, membership, update.revision));
}

Result<void> Maps::withdraw(Update& update, const std::string& network_id,
                            const std::string& node_id) {
    auto put = publish(update, peer_tombstone(network_id, node_id, update.revision));
    if (put) --update.tenant.networks[network_id].members;
    return put;
}

// A node that was not in, or was shut out, and is in now.
Result<void> Maps::let_in(Update& update, const model::Node& node) {
    Node& entry = update.tenant.nodes[node.id];
    if (entry.is_in) return {};
    entry.is_in = true;
    entry.is_relay = node.role == model::TokenRole::Relay;
    entry.networks_changed_at = update.revision;
    update.touched.nodes.insert(node.id);
    if (!entry.is_relay) return lift(update, node.id, "");
    update.tenant.relay_nodes.insert(node.id);
    return show_relays_on(update, node.id);
}

Result<Touched> Maps::put_node(const model::Node& node, int64_t revision) {
    Tenant* tenant = find(node.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", node.tenant_id);
    const bool is_pending = node.state == model::NodeState::Pending;
    // An expired node that is renamed, say, is in nobody's map.
    if (node.state != model::NodeState::Active && !is_pending) return Touched{};
    Update update{*tenant, revision};
    if (!is_pending)
        if (auto in = let_in(update, node); !in) return failed(in.error());
    const bool is_relay = node.role == model::TokenRole::Relay;
    std::set<std::string> now_in;
    static const std::vector<model::Membership> kNone;
    for (const model::Membership& membership : is_pending || is_relay ? kNone : node.memberships) {
        now_in.insert(membership.network_id);
        auto put = publish_membership(update, node, membership);
        if (!put) return failed(put.error());
    }
    Node& entry = tenant->nodes[node.id];
    const std::set<std::string> before = entry.networks;
    for (const std::string& network_id : before) {
        if (now_in.contains(network_id)) continue;
        if (auto out = withdraw(update, network_id, node.id); !out) return failed(out.error());
        if (auto barred = bar(update, node.id, network_id); !barred) return failed(barred.error());
        set_gateway(update, network_id, node.id, false);
        entry.networks.erase(network_id);
        entry.networks_changed_at = revision;
        update.touched.nodes.insert(node.id);
    }
    return counted(std::move(update));
}

Result<Touched> Maps::set_map_expiry(const std::string& tenant_id, model::MapExpiry expiry) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    if (tenant->map_expiry == expiry) return Touched{};
    tenant->map_expiry = expiry;
    for (auto& [id, node] : tenant->nodes) node.head_issued_at.reset();
    return nodes_of(tenant_id);
}

Touched Maps::nodes_of(const std::string& tenant_id) {
    Touched all;
    if (const Tenant* tenant = find(tenant_id))
        for (const auto& [id, node] : tenant->nodes) all.nodes.insert(id);
    return all;
}

Result<Touched> Maps::remove_node(const std::string& tenant_id, const std::string& node_id,
                                  int64_t revision) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    quarantine_.erase_node(tenant_id, node_id);
    Update update{*tenant, revision};
    if (const auto node = tenant->nodes.find(node_id); node != tenant->nodes.end()) {
        for (const std::string& network_id : node->second.networks)
            if (auto out = withdraw(update, network_id, node_id); !out) return failed(out.error());
        for (const std::string& network_id : node->second.gateway_of)
            tenant->networks[network_id].gateways.erase(node_id);
        const bool was_in = node->second.is_in;
        tenant->nodes.erase(node);
        const bool is_relay = tenant->relay_nodes.erase(node_id) > 0;
        Result<void> told;
        if (is_relay) told = show_relays_on(update, node_id);
        if (was_in && !is_relay) told = bar(update, node_id, "");
        if (!told) return failed(told.error());
    }
    update.touched.nodes.insert(node_id);  // its held poll must hear of it
    return counted(std::move(update));
}

}  // namespace cvlan::maps
