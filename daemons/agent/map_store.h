// SPDX-License-Identifier: Apache-2.0
#pragma once

// The signed map of one identity, and the NetworkMap that is made of it. Loop thread only.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "enrolee/signed_map.h"
#include "model/network_map.h"

namespace cvlan::agent {

namespace wire = model::wire;

using enrolee::MapOwner;

// As SignedMap; map() is of its last good answer.
class MapStore {
public:
    MapStore(std::string folder, MapOwner owner, std::vector<pki::VerifyKey> keys)
        : signed_(std::move(folder), std::move(owner), std::move(keys)) {}

    Result<enrolee::SignedMap::Loaded> load();
    Result<bool> take(const wire::NodeMap& answer);
    Result<void> save() const { return signed_.save(); }
    void forget_revision() { signed_.forget_revision(); }
    void set_keys(std::vector<pki::VerifyKey> keys) { signed_.set_keys(std::move(keys)); }

    const std::shared_ptr<const model::NetworkMap>& map() const { return map_; }
    const std::optional<wire::MapHead>& head() const { return signed_.head(); }
    const std::string& since() const { return signed_.since(); }

private:
    void build();

    enrolee::SignedMap signed_;
    std::shared_ptr<const model::NetworkMap> map_;
};

}  // namespace cvlan::agent
