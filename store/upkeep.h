// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an operator does to a database as a whole: is it sound, a new epoch, and a try of a
// migration.

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace cvlan::store {

class SqlStore;

// The store's verbs about itself, got by Store::upkeep(); valid as long as that store.
class Upkeep {
public:
    explicit Upkeep(SqlStore& store) : store_(store) {}

    // What is wrong, a sentence each: our own rules, which no constraint of the schema holds, and
    // the chains of the audit.
    Result<std::vector<std::string>> check();
    // After a database was put back by other means than restore_database: every map is void from
    // the next start of a controller on. No controller may run.
    Result<int64_t> new_epoch();

private:
    SqlStore& store_;
};

// Before the schema of a SQLite file is changed: a copy beside it, "<path>.schema-<its version>",
// which the older program takes back (restore_database). Nothing where there is nothing to change.
Result<std::optional<std::string>> copy_before_migration(const std::string& path);

struct Trial {
    int from = 0;  // schema versions
    int to = 0;
};
// Migrates a copy of the file, checks it, and throws it away.
Result<Trial> try_migration(const std::string& path, const Clock& clock);

// Everything there is to check of a SQLite file, on a copy of it, while a controller may run.
Result<std::vector<std::string>> check_database(const std::string& path, const Clock& clock);

}  // namespace cvlan::store
