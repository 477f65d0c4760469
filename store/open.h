// SPDX-License-Identifier: Apache-2.0
#pragma once

// Opens a store: on a file of SQLite's, for one controller, or on PostgreSQL, for several.

#include <functional>
#include <memory>
#include <string>

#include "store/store.h"

namespace cvlan::store {

// Whether an absent database may be made. A controller that made a new one in the place of one that
// was lost would tell every node that it is deleted.
enum class Create { No, Yes };

// Migrates the file, or creates it (0600). Code::NotFound when it is absent or empty and must not
// be made, Code::Unavailable when another process holds it, Code::Unsupported when a newer program
// wrote it, Code::Malformed when it is no database of ours. `clock` outlives the store. WAL with
// synchronous=FULL, so that what was answered survives a power cut.
Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const Clock& clock,
                                           Create create);

// A connection URI without a password, and the file (0600) that has it; empty: none, or the one
// that libpq finds by itself (~/.pgpass, PGPASSFILE).
struct PostgresAddress {
    std::string url;
    std::string password_file;
};
// Invalid: libpq can not read it, or it holds a password, which a configuration is not to hold.
Result<void> check_postgres_url(const std::string& url);

// Migrates the database's current schema, or fills it. Several processes may have it open: one
// writes at a time, and all hear of each other's events. Errors as above; Code::Unavailable where
// the server can not be reached or does not answer in time.
// Listeners hear of others' changes in a task that `post` is to run; without one, on a thread of
// the store's own.
using Post = std::function<void(std::function<void()>)>;
Result<std::unique_ptr<Store>> open_postgres(const PostgresAddress& address, const Clock& clock,
                                             Create create, Post post = {});

}  // namespace cvlan::store
