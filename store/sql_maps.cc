// SPDX-License-Identifier: Apache-2.0
// What maps are built from at start-up, and the events since.
#include <limits>

#include "store/events.h"
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

}  // namespace

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
            fmt::format("SELECT n.name, n.role, n.came_in_at, {} FROM memberships m JOIN nodes n "
                        "ON n.tenant_id = "
                        "m.tenant_id AND n.id = m.node_id WHERE m.tenant_id = ? AND n.state = ? "
                        "ORDER BY m.network_id, m.node_id",
                        kMembershipColumns),
            tenant_id, model::NodeState::Active);
        while (rows.next()) {
            inputs.members.push_back({rows.text(0), static_cast<model::TokenRole>(rows.integer(1)),
                                      membership_row(rows, 3), rows.integer(2)});
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
