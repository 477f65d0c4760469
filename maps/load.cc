// SPDX-License-Identifier: Apache-2.0
// A tenant as a whole.
#include "base/log.h"
#include "maps/fragments.h"
#include "maps/maps.h"
#include "maps/tenant.h"

namespace cvlan::maps {

namespace {

void tell_left_out(const store::Key& object, std::string_view kind, const Error& why) {
    log::error(
        "maps.object_left_out",
        {{"tenant", object.tenant_id}, {"kind", kind}, {"id", object.id}, {"reason", why.message}});
}

}  // namespace

Touched Maps::load(const std::string& tenant_id, int64_t epoch, const store::MapInputs& inputs) {
    auto& slot = tenants_[tenant_id];
    Touched touched;
    if (slot) {
        for (const auto& [id, network] : slot->networks) touched.networks.insert(id);
        for (const auto& [id, node] : slot->nodes) touched.nodes.insert(id);
    }
    slot = std::make_unique<Tenant>();
    Tenant& tenant = *slot;
    tenant.id = tenant_id;
    tenant.epoch = epoch;
    tenant.map_expiry = inputs.map_expiry;
    quarantine_.erase_tenant(tenant_id);
    Update update{tenant, inputs.revision, std::move(touched)};
    for (const model::Network& network : inputs.networks) {
        if (!is_fit({tenant_id, network.id}, fault_of(network))) continue;
        tenant.networks[network.id].network = network;
        auto put = publish(update, network_fragment(network, network.revision));
        if (!put) tell_left_out({tenant.id, network.id}, "network", put.error());
        // What was removed is not known: a map from before that is answered in full.
        tenant.networks[network.id].floor = inputs.removed_at;
        tenant.networks[network.id].connections.floor = inputs.removed_at;
    }
    load_members(update, inputs);
    for (const std::string& id : inputs.pending) {
        tenant.nodes[id];
        update.touched.nodes.insert(id);
    }
    load_relays(update, inputs);
    load_connections(update, inputs);
    tenant.revision = tenant.loaded_at = inputs.revision;
    return update.touched;
}

void Maps::load_members(Update& update, const store::MapInputs& inputs) {
    Tenant& tenant = update.tenant;
    for (const store::MapMember& member : inputs.members) {
        if (member.role == model::TokenRole::Relay) continue;  // an older program let them in
        const model::Membership& membership = member.membership;
        tenant.nodes[membership.node_id].is_in = true;
        update.touched.nodes.insert(membership.node_id);
        const auto network = tenant.networks.find(membership.network_id);
        if (network == tenant.networks.end()) continue;
        if (!is_fit({tenant.id, network->first, membership.node_id},
                    fault_of(member.node_name, membership, network->second.network)))
            continue;
        auto put =
            publish(update, peer_fragment(member.node_name, membership, membership.revision));
        if (!put) tell_left_out({tenant.id, membership.node_id}, "node", put.error());
        Node& node = tenant.nodes[membership.node_id];
        node.networks.insert(membership.network_id);
        set_gateway(update, membership.network_id, membership.node_id, membership.gateway);
        node.networks_changed_at = member.came_in_at;
        ++network->second.members;
    }
}

void Maps::load_relays(Update& update, const store::MapInputs& inputs) {
    Tenant& tenant = update.tenant;
    for (const store::MapRelayNode& node : inputs.relay_nodes) {
        Node& entry = tenant.nodes[node.id];
        entry.is_in = entry.is_relay = true;
        entry.networks_changed_at = node.came_in_at;
        tenant.relay_nodes.insert(node.id);
        update.touched.nodes.insert(node.id);
    }
    for (const store::MapRelay& relay : inputs.relays) {
        Relay& entry = tenant.relays[relay.object.id];
        entry.relay = relay;
        update.revision = relay.revision;
        if (auto shown = show_relay(update, entry); !shown)
            tell_left_out({tenant.id, relay.object.id}, "relay", shown.error());
    }
    for (const store::MapBarred& barred : inputs.barred) {
        const Barring barring{tenant.id, barred.node_id, {}, barred.until, barred.revision};
        if (auto put = put_barring(update, barring); !put)
            tell_left_out({tenant.id, barred.node_id}, "barred", put.error());
    }
    tenant.relay_shelf.floor = inputs.removed_at;
    // Who was let in again is not known: a relay that was away meanwhile gets all of it.
    tenant.barred_shelf.floor = inputs.revision;
}

// Who became the gateway after the connection was changed last is told of it by that.
void Maps::load_connections(Update& update, const store::MapInputs& inputs) {
    std::map<std::string, int64_t> told_at;
    for (const store::MapMember& member : inputs.members) {
        if (!member.membership.gateway) continue;
        int64_t& at = told_at[member.membership.network_id];
        at = std::max(at, member.membership.revision);
    }
    for (const model::Connection& connection : inputs.connections) {
        if (!update.tenant.networks.contains(connection.network_id)) continue;
        const auto revision = std::max(connection.revision, told_at[connection.network_id]);
        if (auto put = publish(update, connection_fragment(connection, revision)); !put)
            tell_left_out({update.tenant.id, connection.id}, "connection", put.error());
        update.tenant.connections[connection.id] = connection.network_id;
    }
}

void Maps::drop_tenant(const std::string& tenant_id) {
    tenants_.erase(tenant_id);
    quarantine_.erase_tenant(tenant_id);
}

void Maps::hold_back(const std::string& tenant_id) {
    auto& slot = tenants_[tenant_id];
    if (!slot) slot = std::make_unique<Tenant>();
    slot->id = tenant_id;
    slot->is_held_back = true;
}

}  // namespace cvlan::maps
