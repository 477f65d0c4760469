// SPDX-License-Identifier: Apache-2.0
#include "store/sql_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <fmt/ranges.h>

#include "store/migrate.h"

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

Result<std::unique_ptr<Store>> open_locked(const std::string& path, const Clock& clock,
                                           Create create) {
    if (create == Create::No)
        if (auto present = check_present(path); !present) return failed(present.error());
    auto lock = lock_file(path + ".lock");
    if (!lock) return failed(lock.error());
    // SQLite would make it readable by all; its -wal and -shm take this file's mode.
    const int flags = O_RDWR | O_CLOEXEC | (create == Create::Yes ? O_CREAT : 0);
    const UniqueFd made(::open(path.c_str(), flags, 0600));
    if (!made) return failed(errno_error("open " + path));
    if (auto kept = copy_before_migration(path); !kept) return failed(kept.error());
    auto db = Database::open(path);
    if (!db) return failed(db.error());
    if (auto migrated = migrate(*db, clock.now()); !migrated) return failed(migrated.error());

    int64_t epoch = 0;
    {
        Statement meta = db->sql("SELECT epoch FROM meta");
        if (!meta.next()) return fail(Code::Malformed, "has no epoch");
        epoch = meta.integer(0);
    }
    return std::make_unique<SqlStore>(
        std::make_unique<Engine>(std::move(*db), std::move(*lock), epoch, clock));
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const Clock& clock,
                                           Create create) {
    auto store = open_locked(path, clock, create);
    if (!store) return failed(store.error().while_doing("database " + path));
    return store;
}

std::unique_ptr<Store> SqlStore::as(const Cause& cause) {
    return std::make_unique<SqlStore>(engine_, cause, lease_);
}

std::unique_ptr<Store> SqlStore::under(const Lease& lease) {
    return std::make_unique<SqlStore>(engine_, cause_, lease);
}

Result<Revision> SqlBase::record(const Key& object, EventKind kind,
                                 std::vector<std::string> networks, std::string before) {
    Statement next =
        object.tenant_id.empty()
            ? db_.sql(
                  "UPDATE meta SET operator_revision = operator_revision + 1 RETURNING "
                  "operator_revision")
            : db_.sql("UPDATE tenants SET revision = revision + 1 WHERE id = ? RETURNING revision",
                      object.tenant_id);
    const bool is_there = next.next();
    if (next.error()) return failed(*next.error());
    if (!is_there) return fail(Code::NotFound, "tenant {}: not found", printable(object.tenant_id));
    Event event{object.tenant_id, next.integer(0),     kind,
                object.id,        std::move(networks), clock_.now()};
    auto written = db_.sql("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", event.tenant_id,
                           event.revision, event.kind, event.object_id,
                           fmt::format("{}", fmt::join(event.network_ids, " ")), event.at)
                       .run();
    if (!written) return failed(written.error());
    // A node that says where it can be reached administers nothing (store.h).
    if (kind != EventKind::EndpointsChanged) draft(event, std::move(before));
    engine_.announce(event);
    return event.revision;
}

std::string SqlBase::owner() const {
    const bool is_account =
        cause_.actor.starts_with("user:") || cause_.actor.starts_with("service-account:");
    return is_account ? cause_.actor : "";
}

}  // namespace cvlan::store
