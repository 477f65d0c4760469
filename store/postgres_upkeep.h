// SPDX-License-Identifier: Apache-2.0
#pragma once

// As upkeep.h, of a database on a PostgreSQL server.

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/open.h"

namespace cvlan::store {

// Everything there is to check of it, where it is, while controllers may run. It is not migrated:
// Unsupported where its schema is not this program's.
Result<std::vector<std::string>> check_database(const PostgresAddress& address, const Clock& clock);

}  // namespace cvlan::store
