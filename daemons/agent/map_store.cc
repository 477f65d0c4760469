// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/map_store.h"

namespace cvlan::agent {

Result<enrolee::SignedMap::Loaded> MapStore::load() {
    auto loaded = signed_.load();
    if (loaded) build();
    return loaded;
}

Result<bool> MapStore::take(const wire::NodeMap& answer) {
    auto taken = signed_.take(answer);
    if (taken) build();
    return taken;
}

void MapStore::build() {
    auto map = std::make_shared<model::NetworkMap>(
        model::build_map(*signed_.head(), signed_.fragments(), signed_.revision()));
    map->refused.insert(map->refused.end(), signed_.refused().begin(), signed_.refused().end());
    map_ = std::move(map);
}

}  // namespace cvlan::agent
