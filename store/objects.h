// SPDX-License-Identifier: Apache-2.0
#pragma once

// The verbs of tags, groups, regions, relays and virtual routers. Codes and events as in store.h;
// an object that points to what is not in its tenant is Invalid, and a region that something points
// to is not deleted: Conflict.

#include "base/result.h"
#include "model/objects.h"
#include "store/types.h"

namespace cvlan::store {

class Objects {
public:
    virtual ~Objects() = default;
    // The id and the time are made here.
    virtual Result<model::Object> create(const model::Object& object) = 0;
    virtual Result<Page<model::Object>> list(model::ObjectKind kind, const Filter& filter) = 0;
    virtual Result<model::Object> get(model::ObjectKind kind, const Scope& scope,
                                      const std::string& id) = 0;
    // All of it that can be written.
    virtual Result<model::Object> update(const model::Object& object) = 0;
    virtual Result<Revision> remove(model::ObjectKind kind, const Key& object) = 0;
};

}  // namespace cvlan::store
