// SPDX-License-Identifier: Apache-2.0
#include "maps/tenant.h"

namespace cvlan::maps {

namespace {
constexpr size_t kMaxTombstones = 10000;  // a shelf; who is further behind gets a full map
}  // namespace

void Maps::Shelf::put(Shared fragment) {
    Shared& slot = current[fragment->key];
    if (slot) {
        by_revision.erase(slot);
        tombstones -= slot->removed ? 1 : 0;
    }
    tombstones += fragment->removed ? 1 : 0;
    slot = fragment;
    by_revision.insert(std::move(fragment));
    if (tombstones > kMaxTombstones) forget_tombstones();
}

const Maps::Fragment* Maps::Shelf::live(const std::string& key) const {
    const auto found = current.find(key);
    return found == current.end() || found->second->removed ? nullptr : found->second.get();
}

void Maps::Shelf::forget_tombstones() {
    for (auto entry = by_revision.begin(); entry != by_revision.end();) {
        if (!(*entry)->removed) {
            ++entry;
            continue;
        }
        floor = std::max(floor, (*entry)->revision);
        current.erase((*entry)->key);
        entry = by_revision.erase(entry);
    }
    tombstones = 0;
}

Maps::Shelf& Maps::Tenant::shelf_of(const model::wire::MapFragment& fragment) {
    switch (fragment.kind) {
        case model::wire::FragmentKind::Relay:
            return relay_shelf;
        case model::wire::FragmentKind::Barred:
            return barred_shelf;
        case model::wire::FragmentKind::Connection:
            return networks[fragment.scope].connections;
        default:
            return networks[fragment.scope];
    }
}

}  // namespace cvlan::maps
