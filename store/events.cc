// SPDX-License-Identifier: Apache-2.0
#include "store/events.h"

#include <fmt/ranges.h>

#include "store/sql_rows.h"

namespace cvlan::store {

Result<void> write_event(Database& db, const Event& event) {
    return db
        .sql(
            "INSERT INTO events (tenant_id, revision, kind, object_id, network_ids, at) VALUES "
            "(?, ?, ?, ?, ?, ?)",
            event.tenant_id, event.revision, event.kind, event.object_id,
            fmt::format("{}", fmt::join(event.network_ids, " ")), event.at)
        .run();
}

Result<std::vector<Event>> read_events(Database& db, const EventRange& range, int limit) {
    std::vector<Event> events;
    Statement rows = db.sql(
        "SELECT revision, kind, object_id, network_ids, at FROM events WHERE tenant_id = ? AND "
        "revision > ? AND revision < ? ORDER BY revision LIMIT ?",
        range.tenant_id, range.after, range.before, limit);
    while (rows.next())
        events.push_back({range.tenant_id, rows.integer(0), static_cast<EventKind>(rows.integer(1)),
                          rows.text(2), split_words(rows.text(3)), rows.time(4)});
    if (rows.error()) return failed(*rows.error());
    return events;
}

// Not from the table of events, but for tenants that are gone: it may be long.
Result<std::map<std::string, Revision>> newest_revisions(Database& db) {
    std::map<std::string, Revision> newest;
    static const std::string text = fmt::format(
        "SELECT '', operator_revision FROM meta UNION ALL SELECT id, revision FROM tenants UNION "
        "ALL SELECT tenant_id, revision FROM events WHERE kind = {}",
        static_cast<int>(EventKind::TenantDeleted));
    Statement rows = db.sql(text);
    while (rows.next()) newest[rows.text(0)] = rows.integer(1);
    if (rows.error()) return failed(*rows.error());
    return newest;
}

}  // namespace cvlan::store
