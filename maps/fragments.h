// SPDX-License-Identifier: Apache-2.0
#pragma once

// What stands in a fragment, before it is encoded and signed.

#include <string>

#include "model/connection.h"
#include "model/objects.h"
#include "model/wire.h"
#include "store/types.h"

namespace cvlan::maps {

model::wire::MapFragment network_fragment(const model::Network& network, int64_t revision);
model::wire::MapFragment peer_fragment(const std::string& name, const model::Membership& membership,
                                       int64_t revision);
// In the scope of the tenant, as the next. The relay runs on a node and has endpoints.
model::wire::MapFragment relay_fragment(const store::MapRelay& relay, int64_t revision);
// In the scope of its network, for whose gateway alone it is.
model::wire::MapFragment connection_fragment(const model::Connection& connection, int64_t revision);
// An empty network: from all of them.
struct Barring {
    std::string tenant_id;
    std::string node_id;
    std::string network_id{};
    WallTime until{};
    int64_t revision = 0;
};
model::wire::MapFragment barred_fragment(const Barring& barring);

// `of` is removed.
model::wire::MapFragment tombstone(const model::wire::MapFragment& of, int64_t revision);
model::wire::MapFragment peer_tombstone(const std::string& network_id, const std::string& node_id,
                                        int64_t revision);

// How a shelf knows a fragment: its kind and id.
std::string key_of(model::wire::FragmentKind kind, const std::string& id);

}  // namespace cvlan::maps
