// SPDX-License-Identifier: Apache-2.0
// What maps are built from at start-up, and the events since.
#include <unordered_map>

#include "store/events.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

// When each node last came into a network, by its id.
Result<std::unordered_map<std::string, Revision>> came_in(Database& db, const std::string& tenant) {
    std::unordered_map<std::string, Revision> at;
    Statement rows = db.sql(
        "SELECT object_id, max(revision) FROM events WHERE tenant_id = ? AND kind IN (?, ?, ?) "
        "GROUP BY object_id",
        tenant, EventKind::NodeEnrolled, EventKind::NodeJoined, EventKind::NodeApproved);
    while (rows.next()) at[rows.text(0)] = rows.integer(1);
    if (rows.error()) return failed(*rows.error());
    return at;
}

// The last removal; no earlier than what retention has taken of the events.
Result<Revision> removed_at(Database& db, const model::Tenant& tenant) {
    Statement row = db.sql(
        "SELECT coalesce(max(CASE WHEN kind IN (?, ?, ?, ?) THEN revision END), 0), "
        "coalesce(min(revision) - 1, ?) FROM events WHERE tenant_id = ?",
        EventKind::NodeExpired, EventKind::NodeRevoked, EventKind::NodeDeleted,
        EventKind::NetworkDeleted, tenant.revision, tenant.id);
    const Revision at = row.next() ? std::max(row.integer(0), row.integer(1)) : 0;
    if (row.error()) return failed(*row.error());
    return at;
}

}  // namespace

Result<MapInputs> SqlStore::map_inputs(const std::string& tenant_id) {
    return read([&]() -> Result<MapInputs> {
        auto tenant = find_tenant(tenant_id);
        if (!tenant) return failed(tenant.error());
        MapInputs inputs;
        inputs.revision = tenant->revision;
        auto removed = removed_at(db_, *tenant);
        if (!removed) return failed(removed.error());
        inputs.removed_at = *removed;
        auto came = came_in(db_, tenant_id);
        if (!came) return failed(came.error());
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
            fmt::format(
                "SELECT n.name, n.role, {} FROM memberships m JOIN nodes n ON n.tenant_id = "
                "m.tenant_id AND n.id = m.node_id WHERE m.tenant_id = ? AND n.state = ? "
                "ORDER BY m.network_id, m.node_id",
                kMembershipColumns),
            tenant_id, model::NodeState::Active);
        while (rows.next()) {
            inputs.members.push_back({rows.text(0), static_cast<model::TokenRole>(rows.integer(1)),
                                      membership_row(rows, 2)});
            MapMember& member = inputs.members.back();
            member.came_in_at = (*came)[member.membership.node_id];
        }
        if (rows.error()) return failed(*rows.error());
        Statement pending = db_.sql("SELECT id FROM nodes WHERE tenant_id = ? AND state = ?",
                                    tenant_id, model::NodeState::Pending);
        while (pending.next()) inputs.pending.push_back(pending.text(0));
        if (pending.error()) return failed(*pending.error());
        auto settings = find_settings(db_, tenant_id);
        if (!settings) return failed(settings.error());
        inputs.map_expiry = settings->map_expiry;
        return inputs;
    });
}

Result<std::vector<Event>> SqlStore::events_since(const std::string& tenant_id, Revision since,
                                                  int limit) {
    constexpr Revision kLast = std::numeric_limits<Revision>::max();
    return read([&] { return read_events(db_, {tenant_id, since, kLast}, limit); });
}

}  // namespace cvlan::store
