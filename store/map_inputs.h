// SPDX-License-Identifier: Apache-2.0
#pragma once

// A tenant as its maps are made of it.

#include <string>
#include <vector>

#include "base/clock.h"
#include "model/connection.h"
#include "model/objects.h"
#include "store/key.h"

namespace cvlan::store {

// Only nodes that are ACTIVE.
struct MapMember {
    std::string node_name;
    model::TokenRole role{};
    model::Membership membership;
    Revision came_in_at = 0;  // the node enrolled, was approved, or joined a further one
};
// A relay, and what else is told of it. `revision` is of the last change of any of this.
struct MapRelay {
    model::Object object;
    std::string region_name{};
    Revision revision = 0;

    const std::string& node_id() const { return target(model::Relation::Node); }
    const std::string& region_id() const { return target(model::Relation::Region); }

private:
    const std::string& target(model::Relation relation) const;  // empty: none
};
// A node of the role Relay that is ACTIVE.
struct MapRelayNode {
    std::string id;
    Revision came_in_at = 0;
};
// A node that was shut out, and for which relays must not forward until then.
struct MapBarred {
    std::string node_id;
    WallTime until{};
    Revision revision = 0;
};
struct MapInputs {
    Revision revision = 0;
    std::vector<model::Network> networks;
    std::vector<MapMember> members;
    std::vector<std::string> pending{};  // ids of nodes that wait for approval
    model::MapExpiry map_expiry = model::MapExpiry::Keep;
    // A node, a network, a relay or a connection was last taken away; what is older than this is
    // not known.
    Revision removed_at = 0;
    std::vector<MapRelay> relays{};
    std::vector<MapRelayNode> relay_nodes{};
    std::vector<MapBarred> barred{};
    std::vector<model::Connection> connections{};  // that are enabled
};

}  // namespace cvlan::store
