// SPDX-License-Identifier: Apache-2.0
#pragma once

// The signing keys of every tenant, read once and kept: token keys and map keys are files under
// `<state_dir>/keys/<tenant id>/`, never rows. Belongs to the loop thread.

#include <map>
#include <string>

#include "model/wire.h"
#include "pki/keys.h"

namespace cvlan::api {

class KeyRing {
public:
    explicit KeyRing(std::string folder) : folder_(std::move(folder)) {}

    Result<const pki::TenantKeys*> create(const std::string& tenant_id);
    // NotFound where the tenant has no keys here: it is none of ours.
    Result<const pki::TenantKeys*> of(const std::string& tenant_id);
    Result<void> remove(const std::string& tenant_id);

    // As maps::Sign wants it.
    Result<model::wire::SignedBytes> sign_map(const std::string& tenant_id, std::string payload);

private:
    std::string folder_;
    std::map<std::string, pki::TenantKeys> keys_;
};

}  // namespace cvlan::api
