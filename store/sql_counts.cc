// SPDX-License-Identifier: Apache-2.0
// How much there is of what, over all tenants: for the metrics.
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

Result<int64_t> count(Database& db, std::string_view query) {
    Statement row = db.sql(query);
    const int64_t value = row.next() ? row.integer(0) : 0;
    if (row.error()) return failed(*row.error());
    return value;
}

}  // namespace

Result<Counts> SqlStore::counts() {
    return read([&]() -> Result<Counts> {
        Counts counts;
        auto tenants = count(db_, "SELECT count(*) FROM tenants");
        if (!tenants) return failed(tenants.error());
        auto networks = count(db_, "SELECT count(*) FROM networks");
        if (!networks) return failed(networks.error());
        counts.tenants = *tenants;
        counts.networks = *networks;
        Statement nodes = db_.sql("SELECT state, count(*) FROM nodes GROUP BY state");
        while (nodes.next())
            counts.nodes[static_cast<model::NodeState>(nodes.integer(0))] = nodes.integer(1);
        if (nodes.error()) return failed(*nodes.error());
        return counts;
    });
}

}  // namespace cvlan::store
