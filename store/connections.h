// SPDX-License-Identifier: Apache-2.0
#pragma once

// Connections to sites that are no part of CloudVLAN. Codes and events as in store.h, with the
// events of objects; the routes of a network's gateway change with its connections, by an event of
// that node. Secrets come here sealed, and what seals them is in no database.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/connection.h"
#include "store/types.h"

namespace cvlan::store {

class SqlStore;

// Of a connection whose vrouter asks for it.
struct SealedSecret {
    std::string connection_id;
    int64_t secret_revision = 0;
    std::string sealed;
};

class Connections {
public:
    explicit Connections(SqlStore& store) : store_(store) {}

    // Seals the secret of this connection and secret_revision, which are known only inside the
    // transaction. It runs there: it must be quick and must not call the store. Null: no secret, or
    // as before.
    using Seal = std::function<std::string(const model::Connection&)>;

    // The id, the times, and the local identity in `trust_domain` are made here. Conflict where the
    // network has no vrouter, and where a remote subnet overlaps what the tenant has.
    Result<model::Connection> create(const model::Connection& wanted,
                                     const std::string& trust_domain, const Seal& seal);
    // Of a network where filter.network_id says so.
    Result<Page<model::Connection>> list(const Filter& filter);
    Result<model::Connection> get(const Scope& scope, const std::string& id);
    // All of it but its network, its identity here and how it is proved, which stay. Conflict where
    // it is not of the revision that is there.
    Result<model::Connection> update(const model::Connection& wanted, const Seal& seal);
    Result<Revision> remove(const Key& connection);

    // Of those that are enabled, in networks whose gateway the node is.
    Result<std::vector<SealedSecret>> secrets_of(const Key& node);

private:
    Result<model::Connection> find(const Scope& scope, const std::string& id);
    Result<void> check(const model::Connection& wanted);
    Result<void> put_secret(const model::Connection& connection, const Seal& seal);
    Result<Revision> note(const model::Connection& connection, EventKind kind, std::string before);
    Result<void> settle(const Key& network);

    SqlStore& store_;
};

}  // namespace cvlan::store
