// SPDX-License-Identifier: Apache-2.0
#pragma once

// Brings a database to this program's schema, one transaction a migration.

#include "store/sqlite.h"

namespace cvlan::store {

inline constexpr int64_t kApplicationId = 0x43564c4e;  // "CVLN", PRAGMA application_id

int newest_schema();
// Code::Unsupported where the schema is newer than this program, Code::Malformed where it is not
// ours.
Result<void> migrate(Database& db, WallTime now);

}  // namespace cvlan::store
