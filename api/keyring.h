// SPDX-License-Identifier: Apache-2.0
#pragma once

// The signing keys of every tenant, read once and kept: token keys and map keys are files under
// `<state_dir>/keys/<tenant id>/`, never rows. Safe to use from any thread; who holds keys may go
// on with them when the tenant is gone.

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "model/wire.h"
#include "pki/keys.h"

namespace cvlan::api {

class KeyRing {
public:
    explicit KeyRing(std::string folder) : folder_(std::move(folder)) {}

    using Keys = std::shared_ptr<const pki::TenantKeys>;

    Result<Keys> create(const std::string& tenant_id);
    // NotFound where the tenant has no keys here: it is none of ours.
    Result<Keys> of(const std::string& tenant_id);
    Result<void> remove(const std::string& tenant_id);

    // As maps::Sign wants it.
    Result<model::wire::SignedBytes> sign_map(const std::string& tenant_id, std::string payload);

private:
    Keys known(const std::string& tenant_id) const;

    const std::string folder_;
    mutable std::mutex mutex_;
    std::map<std::string, Keys> keys_;
};

}  // namespace cvlan::api
