// SPDX-License-Identifier: Apache-2.0
// What maps are built from at start-up, and the events since.
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

Result<MapInputs> SqlStore::map_inputs(const std::string& tenant_id) {
    return read([&]() -> Result<MapInputs> {
        auto tenant = find_tenant(tenant_id);
        if (!tenant) return failed(tenant.error());
        MapInputs inputs;
        inputs.revision = tenant->revision;
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
        while (rows.next())
            inputs.members.push_back({rows.text(0), static_cast<model::TokenRole>(rows.integer(1)),
                                      membership_row(rows, 2)});
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
    return read([&]() -> Result<std::vector<Event>> {
        std::vector<Event> events;
        Statement rows = db_.sql(
            "SELECT revision, kind, object_id, network_ids, at FROM events WHERE tenant_id = ? AND "
            "revision > ? ORDER BY revision LIMIT ?",
            tenant_id, since, limit);
        while (rows.next())
            events.push_back({tenant_id, rows.integer(0), static_cast<EventKind>(rows.integer(1)),
                              rows.text(2), split_words(rows.text(3)), rows.time(4)});
        if (rows.error()) return failed(*rows.error());
        return events;
    });
}

}  // namespace cvlan::store
