// SPDX-License-Identifier: Apache-2.0
#pragma once

// Copies of the SQLite file: for backups, taken while a controller runs, and to put one back.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace cvlan::store {

struct FileState {
    int schema = 0;  // version
    int64_t epoch = 0;
};

// Whether the file is a whole database of ours: SQLite's own check, foreign keys, and who made it.
// Malformed says what is wrong, NotFound that there is none.
Result<FileState> check_file(const std::string& path);

// The version of its schema; 0 where it is empty, or no database of ours.
Result<int> schema_of_file(const std::string& path);

// A copy of what is committed now, in one file of mode 0600 that is checked and on the disk before
// it gets its name. Writers do not wait for it. Exists where `to` is there already.
Result<FileState> copy_database(const std::string& from, const std::string& to);

struct Restored {
    FileState state;           // with the epoch it has now
    std::string kept_as;       // the database that was replaced; empty where there was none
    int64_t revoked_kept = 0;  // nodes that were revoked after the backup, and stay so
    // Why that could not be read of what was replaced; whoever was revoked since is let in again.
    std::string revocations_lost{};
};
// Puts the copy in the place of the database, which must not be in use (Unavailable). The epoch
// rises, so that every agent takes a whole new map; keys that were barred in the database that is
// replaced stay barred, as far as that one can still be read.
Result<Restored> restore_database(const std::string& copy, const std::string& database,
                                  WallTime now);

}  // namespace cvlan::store
