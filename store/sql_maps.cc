// SPDX-License-Identifier: Apache-2.0
// What maps are built from at start-up, and the events since.
#include <algorithm>
#include <limits>

#include "store/events.h"
#include "store/sql_connections.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

// The last removal.
Result<Revision> removed_at(Database& db, const std::string& tenant_id) {
    Statement row = db.sql("SELECT removed_at FROM tenants WHERE id = ?", tenant_id);
    const Revision at = row.next() ? row.integer(0) : 0;
    if (row.error()) return failed(*row.error());
    return at;
}

// Those that run on a node. What is told of one depends on when that came in, and on its region.
Result<std::vector<MapRelay>> relays_of(Database& db, const std::string& tenant_id) {
    Statement rows = db.sql(
        "SELECT o.id, o.name, o.endpoints, o.stun_port, o.revision, n.id, n.came_in_at, r.id, "
        "r.name, r.revision FROM objects o JOIN object_links l ON l.tenant_id = o.tenant_id AND "
        "l.object_id = o.id AND l.relation = ?1 JOIN nodes n ON n.tenant_id = o.tenant_id AND n.id "
        "= l.target_id LEFT JOIN object_links x ON x.tenant_id = o.tenant_id AND x.object_id = "
        "o.id AND x.relation = ?2 LEFT JOIN objects r ON r.tenant_id = o.tenant_id AND r.id = "
        "x.target_id WHERE o.tenant_id = ?3 AND o.kind = ?4 ORDER BY o.id",
        model::Relation::Node, model::Relation::Region, tenant_id, model::ObjectKind::Relay);
    std::vector<MapRelay> relays;
    while (rows.next()) {
        MapRelay& relay = relays.emplace_back();
        relay.object.tenant_id = tenant_id;
        relay.object.kind = model::ObjectKind::Relay;
        relay.object.id = rows.text(0);
        relay.object.name = rows.text(1);
        relay.object.endpoints = split_words(rows.text(2));
        relay.object.stun_port = static_cast<uint16_t>(rows.integer(3));
        relay.object.links[model::Relation::Node] = {rows.text(5)};
        relay.revision = std::max(rows.integer(4), rows.integer(6));
        if (rows.is_null(7)) continue;
        relay.object.links[model::Relation::Region] = {rows.text(7)};
        relay.region_name = rows.text(8);
        relay.revision = std::max(relay.revision, rows.integer(9));
    }
    if (rows.error()) return failed(*rows.error());
    return relays;
}

Result<std::vector<MapRelayNode>> relay_nodes_of(Database& db, const std::string& tenant_id) {
    Statement rows =
        db.sql("SELECT id, came_in_at FROM nodes WHERE tenant_id = ? AND role = ? AND state = ?",
               tenant_id, model::TokenRole::Relay, model::NodeState::Active);
    std::vector<MapRelayNode> nodes;
    while (rows.next()) nodes.push_back({rows.text(0), rows.integer(1)});
    if (rows.error()) return failed(*rows.error());
    return nodes;
}

// Those who came back are not barred any more.
Result<std::vector<MapBarred>> barred_of(Database& db, const std::string& tenant_id, WallTime now) {
    Statement rows = db.sql(
        "SELECT b.node_id, b.barred_until, b.revision FROM barred_nodes b LEFT JOIN nodes n ON "
        "n.tenant_id = b.tenant_id AND n.id = b.node_id WHERE b.tenant_id = ? AND b.barred_until > "
        "? AND (n.id IS NULL OR n.state <> ?) ORDER BY b.barred_until, b.node_id",
        tenant_id, now, model::NodeState::Active);
    std::vector<MapBarred> barred;
    while (rows.next()) barred.push_back({rows.text(0), rows.time(1), rows.integer(2)});
    if (rows.error()) return failed(*rows.error());
    return barred;
}

Result<void> add_relays(Database& db, const std::string& tenant_id, WallTime now,
                        MapInputs& inputs) {
    auto relays = relays_of(db, tenant_id);
    if (!relays) return failed(relays.error());
    auto nodes = relay_nodes_of(db, tenant_id);
    if (!nodes) return failed(nodes.error());
    auto barred = barred_of(db, tenant_id, now);
    if (!barred) return failed(barred.error());
    inputs.relays = std::move(*relays);
    inputs.relay_nodes = std::move(*nodes);
    inputs.barred = std::move(*barred);
    return {};
}

std::string members_select() {
    return fmt::format(
        "SELECT n.name, n.role, n.came_in_at, {} FROM memberships m JOIN nodes n ON n.tenant_id = "
        "m.tenant_id AND n.id = m.node_id",
        kMembershipColumns);
}

MapMember member_row(const Statement& row) {
    return {row.text(0), static_cast<model::TokenRole>(row.integer(1)), membership_row(row, 3),
            row.integer(2)};
}

}  // namespace

const std::string& MapRelay::target(model::Relation relation) const {
    static const std::string kNone;
    const auto found = object.links.find(relation);
    return found == object.links.end() || found->second.empty() ? kNone : found->second.front();
}

Result<MapInputs> SqlStore::map_inputs(const std::string& tenant_id) {
    return read([&]() -> Result<MapInputs> {
        auto tenant = find_tenant(tenant_id);
        if (!tenant) return failed(tenant.error());
        MapInputs inputs;
        inputs.revision = tenant->revision;
        auto removed = removed_at(db_, tenant_id);
        if (!removed) return failed(removed.error());
        inputs.removed_at = *removed;
        std::vector<std::string> ids;
        {
            Statement rows =
                db_.sql("SELECT id FROM networks WHERE tenant_id = ? ORDER BY id", tenant_id);
            while (rows.next()) ids.push_back(rows.text(0));
            if (rows.error()) return failed(*rows.error());
        }
        for (const std::string& id : ids) {
            auto network = find_network(tenant_id, id);
            if (!network) return failed(network.error());
            inputs.networks.push_back(std::move(*network));
        }
        Statement rows = db_.sql(
            fmt::format("{} WHERE m.tenant_id = ? AND n.state = ? ORDER BY m.network_id, m.node_id",
                        members_select()),
            tenant_id, model::NodeState::Active);
        while (rows.next()) inputs.members.push_back(member_row(rows));
        if (rows.error()) return failed(*rows.error());
        Statement pending = db_.sql("SELECT id FROM nodes WHERE tenant_id = ? AND state = ?",
                                    tenant_id, model::NodeState::Pending);
        while (pending.next()) inputs.pending.push_back(pending.text(0));
        if (pending.error()) return failed(*pending.error());
        auto settings = find_settings(db_, tenant_id);
        if (!settings) return failed(settings.error());
        inputs.map_expiry = settings->map_expiry;
        if (auto added = add_relays(db_, tenant_id, clock_.now(), inputs); !added)
            return failed(added.error());
        auto connections = connections_of(db_, {.tenant_id = tenant_id, .only_enabled = true});
        if (!connections) return failed(connections.error());
        inputs.connections = std::move(*connections);
        return inputs;
    });
}

Result<std::vector<MapMember>> SqlStore::members_changed(const Key& network, Revision revision) {
    return read([&]() -> Result<std::vector<MapMember>> {
        Statement rows =
            db_.sql(fmt::format("{} WHERE m.tenant_id = ? AND m.network_id = ? AND m.revision = ? "
                                "AND n.state = ?",
                                members_select()),
                    network.tenant_id, network.id, revision, model::NodeState::Active);
        std::vector<MapMember> members;
        while (rows.next()) members.push_back(member_row(rows));
        if (rows.error()) return failed(*rows.error());
        return members;
    });
}

Result<std::vector<Event>> SqlStore::events_since(const std::string& tenant_id, Revision since,
                                                  int limit) {
    constexpr Revision kLast = std::numeric_limits<Revision>::max();
    return read([&] { return read_events(db_, {tenant_id, since, kLast}, limit); });
}

}  // namespace cvlan::store
