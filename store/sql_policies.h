// SPDX-License-Identifier: Apache-2.0
#pragma once

// The policies' and settings' verbs on the store's database. Part of SqlStore.

#include "store/policies.h"

namespace cvlan::store {

class SqlStore;

class SqlPolicies final : public Policies {
public:
    explicit SqlPolicies(SqlStore& store) : store_(store) {}
    Result<model::Policy> create(const model::Policy& policy) override;
    Result<Page<model::Policy>> list(const Filter& filter) override;
    Result<model::Policy> get(const Scope& scope, const std::string& id) override;
    Result<model::Policy> update(const model::Policy& policy) override;
    Result<Revision> remove(const Key& policy) override;
    Result<std::vector<model::PolicyRevision>> revisions(const Key& policy) override;
    Result<model::Policy> activate(const Key& policy, int64_t number) override;
    Result<model::Settings> settings(const std::string& tenant_id) override;
    Result<model::Settings> set_settings(const model::Settings& settings) override;

private:
    Result<model::Policy> find(const Scope& scope, const std::string& id);
    Result<void> put_source(const model::Policy& policy, int64_t number);
    Result<model::Policy> changed(const Key& policy);

    SqlStore& store_;
};

}  // namespace cvlan::store
