// SPDX-License-Identifier: Apache-2.0
// From an event of the store to what the maps make of it.
#include "maps/maps.h"
#include "maps/tenant.h"

namespace cvlan::maps {

namespace {

using model::ObjectKind;

// Of the objects relays are in maps, with the names of their regions, and connections.
Result<Change> read_object(Change change, store::Store& store) {
    const store::Event& event = change.event;
    auto relay = store.objects().get(ObjectKind::Relay, event.tenant_id, event.object_id);
    if (!relay && relay.error().code != Code::NotFound) return failed(relay.error());
    if (relay) change.relay = store::MapRelay{std::move(*relay), {}, event.revision};
    const std::string& region_id = change.relay ? change.relay->region_id() : event.object_id;
    if (region_id.empty()) return change;
    auto region = store.objects().get(ObjectKind::Region, event.tenant_id, region_id);
    if (!region && region.error().code != Code::NotFound) return failed(region.error());
    if (region && change.relay) change.relay->region_name = region->name;
    if (region && !change.relay) change.region = std::move(*region);
    if (change.relay || change.region) return change;
    auto connection = store.connections().get(event.tenant_id, event.object_id);
    if (!connection && connection.error().code != Code::NotFound) return failed(connection.error());
    if (connection) change.connection = std::move(*connection);
    return change;
}

}  // namespace

Result<Change> read_change(const store::Event& event, store::Store& store) {
    using store::EventKind;
    Change change{event, store.epoch()};
    switch (event.kind) {
        case EventKind::NetworkCreated:
        case EventKind::NetworkRenamed:
        case EventKind::NetworkChanged: {
            auto network = store.network(event.tenant_id, event.object_id);
            if (network) change.network = std::move(*network);
            if (!network && network.error().code != Code::NotFound) return failed(network.error());
            if (event.kind != EventKind::NetworkChanged) return change;
            auto members =
                store.members_changed({event.tenant_id, event.object_id}, event.revision);
            if (!members) return failed(members.error());
            change.members = std::move(*members);
            return change;
        }
        case EventKind::NodeEnrolled:
        case EventKind::NodeJoined:
        case EventKind::NodeRenamed:
        case EventKind::NodeApproved:
        case EventKind::NodeChanged:  // its tags may say that it is reached over IPsec
        case EventKind::EndpointsChanged: {
            auto node = store.node(event.tenant_id, event.object_id);
            if (node) change.node = std::move(*node);
            if (!node && node.error().code != Code::NotFound) return failed(node.error());
            return change;
        }
        case EventKind::ObjectCreated:
        case EventKind::ObjectChanged:
            return read_object(std::move(change), store);
        case EventKind::SettingsChanged: {
            auto settings = store.policies().settings(event.tenant_id);
            if (settings) change.map_expiry = settings->map_expiry;
            if (!settings && settings.error().code != Code::NotFound)
                return failed(settings.error());
            return change;
        }
        default:
            return change;
    }
}

Result<Touched> Maps::apply(const Change& change) {
    const store::Event& event = change.event;
    const Tenant* tenant = find(event.tenant_id);
    const bool is_whole = event.kind == store::EventKind::TenantCreated ||
                          event.kind == store::EventKind::TenantDeleted;
    if (tenant && tenant->is_held_back && !is_whole)
        return fail(Code::Unavailable, "maps: tenant {} is held back", event.tenant_id);
    // It is in what was loaded since; brought in again it would undo what came after it.
    if (tenant && event.kind != store::EventKind::TenantDeleted &&
        event.revision <= tenant->loaded_at)
        return Touched{};
    auto touched = bring_in(change);
    if (!touched) {
        hold_back(event.tenant_id);
        return touched;
    }
    // What is in nobody's map counts too: load() of another controller is given its revision.
    if (Tenant* level = find(event.tenant_id))
        level->revision = std::max(level->revision, event.revision);
    return touched;
}

// Which of the two it was, where it was one of them, is known here alone.
Result<Touched> Maps::remove_object(const store::Event& event) {
    const Tenant* tenant = find(event.tenant_id);
    if (tenant && tenant->connections.contains(event.object_id))
        return remove_connection(event.tenant_id, event.object_id, event.revision);
    return remove_relay(event.tenant_id, event.object_id, event.revision);
}

Result<Touched> Maps::bring_in(const Change& change) {
    using store::EventKind;
    const store::Event& event = change.event;
    switch (event.kind) {
        case EventKind::TenantCreated:
            return load(event.tenant_id, change.epoch,
                        {.revision = event.revision, .networks = {}, .members = {}});
        case EventKind::TenantDeleted:
            drop_tenant(event.tenant_id);
            return Touched{};
        case EventKind::NetworkDeleted:
            return remove_network(event.tenant_id, event.object_id, event.revision);
        case EventKind::ObjectDeleted:
            return remove_object(event);
        case EventKind::TenantSuspended:  // who waits is to hear of it
            return nodes_of(event.tenant_id);
        case EventKind::NodeExpired:
        case EventKind::NodeRevoked:
        case EventKind::NodeDeleted:
            return remove_node(event.tenant_id, event.object_id, event.revision);
        default:
            break;
    }
    if (change.network) return put_network(*change.network, event.revision, change.members);
    if (change.node) return put_node(*change.node, event.revision);
    if (change.relay) return put_relay(*change.relay, event.revision);
    if (change.region) return put_region(*change.region, event.revision);
    if (change.connection) return put_connection(*change.connection, event.revision);
    if (change.map_expiry) return set_map_expiry(event.tenant_id, *change.map_expiry);
    return Touched{};  // tokens, names of tenants, certificates: in nobody's map
}

}  // namespace cvlan::maps
