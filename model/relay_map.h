// SPDX-License-Identifier: Apache-2.0
#pragma once

// The map of one relay: the tenant's relays, itself among them, and the nodes for which it must not
// forward any more. It has no networks, no peers and no addresses of theirs. Made from verified
// fragments, as model/network_map.h, and immutable.

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "model/network_map.h"

namespace cvlan::model {

// So long a grant is good after it was signed.
inline constexpr std::chrono::hours kRelayGrantLife{24};
// So long a node is barred at relays that was shut out: longer than any grant it may have lives.
inline constexpr std::chrono::hours kBarredFor{25};

struct RelayMap {
    std::string tenant_id;
    std::string node_id;  // of the relay whose map it is
    int64_t epoch = 0;
    int64_t revision = 0;
    WallTime issued_at{};
    WallTime expires_at{};
    std::map<std::string, MapRelay> relays;  // by id
    // Whom nothing is forwarded for: by node and network, an empty network being all of them. Until
    // when; after that there is no grant in time.
    std::map<std::pair<std::string, std::string>, WallTime> barred;
    std::vector<std::string> refused;  // what was left out and why

    bool is_barred(const std::string& node, const std::string& network, WallTime now) const;
};

// As build_map.
RelayMap build_relay_map(const wire::MapHead& head, const std::vector<wire::MapFragment>& fragments,
                         int64_t revision);

}  // namespace cvlan::model
