// SPDX-License-Identifier: Apache-2.0
#pragma once

// The objects' verbs on the store's database. Part of SqlStore.

#include "store/objects.h"

namespace cvlan::store {

class SqlStore;

class SqlObjects final : public Objects {
public:
    explicit SqlObjects(SqlStore& store) : store_(store) {}
    Result<model::Object> create(const model::Object& object) override;
    Result<Page<model::Object>> list(model::ObjectKind kind, const Filter& filter) override;
    Result<model::Object> get(model::ObjectKind kind, const Scope& scope,
                              const std::string& id) override;
    Result<model::Object> update(const model::Object& object) override;
    Result<Revision> remove(model::ObjectKind kind, const Key& object) override;

private:
    Result<model::Object> find(model::ObjectKind kind, const Scope& scope, const std::string& id);
    Result<Revision> note(const model::Object& object, EventKind kind, std::string before);
    Result<model::Object> changed(const model::Object& object);
    Result<model::Object> settled(Result<model::Object> object, const model::Object& before);
    Result<void> load_links(model::Object& object);
    Result<void> load_last_seen(model::Object& object);
    Result<void> put_links(const model::Object& object);

    SqlStore& store_;
};

}  // namespace cvlan::store
