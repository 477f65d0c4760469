// SPDX-License-Identifier: Apache-2.0
#pragma once

// What nodes say of their paths to their peers, and of what those carry: of each node its last
// report, of each network what was carried in all, and nothing of it in events, maps or audit. It
// is the node's word: show it, decide nothing by it.

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/wire.h"
#include "store/types.h"

namespace cvlan::store {

class SqlStore;

// Peers that the node shares the network with now; a report may name others.
struct NodeHealth {
    struct Peer {
        model::wire::PeerHealth told;
        std::string name;
        std::string network_name;
        std::string relay_name;  // empty where the path leads through none, or that one is gone
    };
    std::optional<WallTime> reported_at;  // none: it never was
    std::vector<Peer> peers;
};

// The store's verbs about it, got by Store::health(); valid as long as that store.
class Health {
public:
    explicit Health(SqlStore& store) : store_(store) {}

    // In the place of the report before; adds what its traffic has grown by to what the networks
    // that the node is in have carried. NotFound: no such node.
    Result<void> put(const Key& node, model::wire::HealthReport report);
    Result<NodeHealth> of(const Key& node);

private:
    SqlStore& store_;
};

}  // namespace cvlan::store
