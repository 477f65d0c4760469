// SPDX-License-Identifier: Apache-2.0
#pragma once

// Brings a database to this program's schema, one transaction a migration.

#include "store/database.h"

namespace cvlan::store {

inline constexpr int64_t kApplicationId = 0x43564c4e;  // "CVLN", PRAGMA application_id

int newest_schema();
// Code::Malformed where it is no database of ours.
Result<int64_t> schema_of(Database& db);
// Code::Unsupported where the schema is newer than this program, Code::Malformed where it is not
// ours.
Result<void> migrate(Database& db, WallTime now);

// Whether there is nothing in it, not even ours.
Result<bool> is_empty(Database& db);

// Which migrations gave a new epoch to: of the whole database.
Result<int64_t> epoch_of(Database& db);

}  // namespace cvlan::store
