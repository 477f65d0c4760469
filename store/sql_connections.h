// SPDX-License-Identifier: Apache-2.0
#pragma once

// What other files of the SQL store ask about connections, inside a body of read or write.

#include <string>
#include <vector>

#include "base/ip.h"
#include "model/connection.h"
#include "store/database.h"
#include "store/key.h"

namespace cvlan::store {

// Of the tenant, or of one network of it; those that are enabled, or all.
struct ConnectionsOf {
    std::string tenant_id;
    std::string network_id{};  // empty: of all
    bool only_enabled = false;
};
Result<std::vector<model::Connection>> connections_of(Database& db, const ConnectionsOf& which);

// "192.168.7.0/24 of connection 'berlin'", where that is another's and overlaps; empty: none does.
Result<std::string> connection_over(Database& db, const std::string& tenant_id,
                                    const Prefix& prefix, const std::string& but_for = {});
// After settle_gateway: the routes of the node's memberships have what lies behind devices, too.
Result<void> add_connection_routes(Database& db, const Key& node);

}  // namespace cvlan::store
