// SPDX-License-Identifier: Apache-2.0
// Whom relays must not serve.
#include "model/relay_map.h"
#include "store/sql_rows.h"

namespace cvlan::store {

// A relay has no grants itself.
Result<void> bar_at_relays(Database& db, const Key& node, WallTime now) {
    auto done = db.sql("DELETE FROM barred_nodes WHERE barred_until <= ?", now).run();
    if (!done) return done;
    return db
        .sql(
            "INSERT INTO barred_nodes (tenant_id, node_id, barred_until, revision) SELECT "
            "n.tenant_id, n.id, ?1, t.revision FROM nodes n JOIN tenants t ON t.id = n.tenant_id "
            "WHERE n.tenant_id = ?2 AND n.id = ?3 AND n.role <> ?4 ON CONFLICT (tenant_id, "
            "node_id) DO UPDATE SET barred_until = excluded.barred_until, revision = "
            "excluded.revision",
            now + model::kBarredFor, node.tenant_id, node.id, model::TokenRole::Relay)
        .run();
}

}  // namespace cvlan::store
