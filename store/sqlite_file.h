// SPDX-License-Identifier: Apache-2.0
#pragma once

// The file under SQLite: whether it is one to work on, and whether it is still the one that was
// opened. SQLite goes on in a file that has lost its name, and what it writes there is gone with
// the process.

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace cvlan::store {

class SqliteFile {
public:
    // Unavailable: it is not there.
    static Result<SqliteFile> of(const std::string& path);

    // Unavailable: what has the path now is another file, or none.
    Result<void> check_in_place() const;
    // Unsupported: it belongs to another user than `uid`, whose files would lie beside it.
    Result<void> check_owner(uid_t uid) const;

private:
    SqliteFile(std::string path, dev_t device, ino_t number, uid_t owner)
        : path_(std::move(path)), device_(device), number_(number), owner_(owner) {}

    std::string path_;
    dev_t device_;
    ino_t number_;
    uid_t owner_;
};

// Unsupported where the folder's file system is one of a network's, by statfs's f_type: there
// neither locks nor the memory that SQLite shares between connections hold.
Result<void> check_local(const std::string& folder);
Result<void> check_file_system(int64_t type);

}  // namespace cvlan::store
