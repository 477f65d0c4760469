// SPDX-License-Identifier: Apache-2.0
// The store on a file.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/migrate.h"
#include "store/open.h"
#include "store/sql_store.h"
#include "store/sqlite.h"
#include "store/sqlite_file.h"
#include "store/upkeep.h"

namespace cvlan::store {

namespace {

// SQLite's own locks are held for a transaction only; this one is held as long as the process
// lives.
Result<UniqueFd> lock_file(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return failed(errno_error("open " + path));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK) return failed(errno_error("lock " + path));
    return fail(Code::Unavailable, "is in use by another process");
}

// SQLite would make an empty file a database; a lost one is not to be taken for a new one.
Result<void> check_present(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0 && errno != ENOENT)
        return failed(errno_error("stat " + path));
    if (found.st_size == 0) return fail(Code::NotFound, "is missing: restore it");
    return {};
}

// A connection to this file and no other: SQLite would make an absent one.
Result<std::unique_ptr<Database>> open_in_place(const SqliteFile& file, const std::string& path,
                                                Access access) {
    if (auto there = file.check_in_place(); !there) return failed(there.error());
    auto db = SqliteDatabase::open(path, access, file);
    if (!db) return db;
    if (auto there = file.check_in_place(); !there) return failed(there.error());
    return db;
}

Result<std::unique_ptr<Store>> open_locked(const std::string& path, const Clock& clock,
                                           Create create) {
    if (create == Create::No)
        if (auto present = check_present(path); !present) return failed(present.error());
    const auto slash = path.find_last_of('/');
    if (auto local = check_local(slash == std::string::npos ? "." : path.substr(0, slash + 1));
        !local)
        return failed(local.error());
    auto lock = lock_file(path + ".lock");
    if (!lock) return failed(lock.error());
    // SQLite would make it readable by all; its -wal and -shm take this file's mode.
    const int flags = O_RDWR | O_CLOEXEC | (create == Create::Yes ? O_CREAT : 0);
    const UniqueFd made(::open(path.c_str(), flags, 0600));
    if (!made) return failed(errno_error("open " + path));
    auto file = SqliteFile::of(path);
    if (!file) return failed(file.error());
    if (auto own = file->check_owner(::geteuid()); !own) return failed(own.error());
    if (auto kept = copy_before_migration(path); !kept) return failed(kept.error());
    auto db = open_in_place(*file, path, Access::Write);
    if (!db) return failed(db.error());
    if (auto migrated = migrate(**db, clock.now()); !migrated) return failed(migrated.error());
    // What a process has left in the log whose last fsync failed may be in the kernel's memory
    // alone: it is written anew before anything builds on it. Where the disk is full we read all
    // the same.
    (void)(*db)->run_script("PRAGMA wal_checkpoint(TRUNCATE)");
    auto epoch = epoch_of(**db);
    if (!epoch) return failed(epoch.error());
    const auto connect = [file = *file, path](Access access) {
        return open_in_place(file, path, access);
    };
    return std::make_unique<SqlStore>(std::make_unique<Engine>(
        Engine::Parts{connect, std::move(*db), std::move(*lock), *epoch}, clock));
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const Clock& clock,
                                           Create create) {
    auto store = open_locked(path, clock, create);
    if (!store) return failed(store.error().while_doing("database " + path));
    return store;
}

}  // namespace cvlan::store
