// SPDX-License-Identifier: Apache-2.0
#pragma once

// The verbs of what rules a tenant: its policy documents, each with its history, and its settings.
// Codes and events as in store.h.

#include "base/result.h"
#include "model/objects.h"
#include "store/types.h"

namespace cvlan::store {

class Policies {
public:
    virtual ~Policies() = default;
    virtual Result<model::Policy> create(const model::Policy& policy) = 0;
    virtual Result<Page<model::Policy>> list(const Filter& filter) = 0;
    virtual Result<model::Policy> get(const Scope& scope, const std::string& id) = 0;
    // Another source is a further revision of the document.
    virtual Result<model::Policy> update(const model::Policy& policy) = 0;
    // Conflict for one that is in force.
    virtual Result<Revision> remove(const Key& policy) = 0;
    // Newest first, at most 100.
    virtual Result<std::vector<model::PolicyRevision>> revisions(const Key& policy) = 0;
    // Of a tenant's documents at most one is in force; number 0 takes it out of it.
    virtual Result<model::Policy> activate(const Key& policy, int64_t number) = 0;

    // The defaults, where they were never set.
    virtual Result<model::Settings> settings(const std::string& tenant_id) = 0;
    virtual Result<model::Settings> set_settings(const model::Settings& settings) = 0;
};

}  // namespace cvlan::store
