// SPDX-License-Identifier: Apache-2.0
// Connections to foreign sites, of which a network's gateway alone hears.
#include "maps/fragments.h"
#include "maps/maps.h"
#include "maps/tenant.h"

namespace cvlan::maps {

// Who becomes the gateway has none of its connections yet, and who is it no more is to forget them.
void Maps::set_gateway(Update& update, const std::string& network_id, const std::string& node_id,
                       bool is_gateway) {
    Node& node = update.tenant.nodes[node_id];
    if (node.gateway_of.contains(network_id) == is_gateway) return;
    auto& gateways = update.tenant.networks[network_id].gateways;
    if (is_gateway) {
        node.gateway_of.insert(network_id);
        gateways.insert(node_id);
    } else {
        node.gateway_of.erase(network_id);
        gateways.erase(node_id);
    }
    node.networks_changed_at = update.revision;
    update.touched.nodes.insert(node_id);
}

Result<Touched> Maps::put_connection(const model::Connection& connection, int64_t revision) {
    Tenant* tenant = find(connection.tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", connection.tenant_id);
    Update update{*tenant, revision};
    const auto network = tenant->networks.find(connection.network_id);
    // One that is quarantined is in nobody's map.
    if (network == tenant->networks.end()) return counted(std::move(update));
    const auto fragment = connection_fragment(connection, revision);
    const bool is_shown = network->second.connections.live(key_of(fragment.kind, fragment.id));
    Result<void> put;
    if (connection.enabled) put = publish(update, fragment);
    if (!connection.enabled && is_shown) put = publish(update, tombstone(fragment, revision));
    if (!put) return failed(put.error());
    tenant->connections[connection.id] = connection.network_id;
    return counted(std::move(update));
}

// It may have been another kind of object.
Result<Touched> Maps::remove_connection(const std::string& tenant_id, const std::string& id,
                                        int64_t revision) {
    Tenant* tenant = find(tenant_id);
    if (!tenant) return fail(Code::NotFound, "maps: no tenant {}", tenant_id);
    const auto known = tenant->connections.find(id);
    if (known == tenant->connections.end()) return Touched{};
    model::Connection gone;
    gone.tenant_id = tenant_id;
    gone.network_id = known->second;
    gone.id = id;
    gone.enabled = false;
    auto touched = put_connection(gone, revision);
    tenant->connections.erase(id);
    return touched;
}

}  // namespace cvlan::maps
