// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite_copy.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "model/objects.h"
#include "store/migrate.h"
#include "store/sqlite.h"

namespace cvlan::store {

namespace {

struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Handle = std::unique_ptr<sqlite3, Close>;

Error error_of(sqlite3* db, int code) { return sqlite_error(db, code); }

Result<Handle> open_file(const std::string& path, int flags) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(
        path.c_str(), &raw, flags | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE, nullptr);
    Handle db(raw);
    if (code != SQLITE_OK) return failed(error_of(raw, code));
    sqlite3_busy_timeout(raw, 5000);
    sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    // The one writer checkpoints; we do not take that from it.
    sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    return db;
}

Result<void> run(sqlite3* db, const std::string& script) {
    const int code = sqlite3_exec(db, script.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failed(error_of(db, code));
    return {};
}

// The first column of the first row; empty where there is no row.
Result<std::string> first(sqlite3* db, const char* query) {
    sqlite3_stmt* raw = nullptr;
    int code = sqlite3_prepare_v2(db, query, -1, &raw, nullptr);
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
    if (code != SQLITE_OK) return failed(error_of(db, code));
    code = sqlite3_step(raw);
    if (code == SQLITE_DONE) return std::string();
    if (code != SQLITE_ROW) return failed(error_of(db, code));
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, 0));
    return std::string(text ? text : "");
}

Result<int64_t> number(sqlite3* db, const char* query) {
    auto text = first(db, query);
    if (!text) return failed(text.error());
    return text->empty() ? 0 : std::strtoll(text->c_str(), nullptr, 10);
}

Result<FileState> check_open(sqlite3* db) {
    auto id = number(db, "PRAGMA application_id");
    if (!id) return failed(id.error());
    if (*id != kApplicationId) return fail(Code::Malformed, "is no database of cvlan");
    auto whole = first(db, "PRAGMA integrity_check(1)");
    if (!whole) return failed(whole.error());
    if (*whole != "ok") return fail(Code::Malformed, "is damaged: {}", printable(*whole));
    auto orphan = first(db, "PRAGMA foreign_key_check");
    if (!orphan) return failed(orphan.error());
    if (!orphan->empty())
        return fail(Code::Malformed, "table {} refers to what is not there", printable(*orphan));
    auto schema = number(db, "SELECT version FROM schema_version");
    if (!schema) return failed(schema.error());
    auto epoch = number(db, "SELECT epoch FROM meta");
    if (!epoch) return failed(epoch.error());
    return FileState{static_cast<int>(*schema), *epoch};
}

Result<void> sync_path(const std::string& path, int flags) {
    const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return failed(errno_error("fsync " + path));
    return {};
}

std::string folder_of(const std::string& path) {
    const auto folder = std::filesystem::path(path).parent_path().string();
    return folder.empty() ? "." : folder;
}

// A file that is removed again unless it is kept. One that was killed may have left it, and its
// number be ours: in a container that is every start.
class Draft {
public:
    explicit Draft(std::string path) : path_(std::move(path)) {
        for (const char* part : {"-journal", "-wal", "-shm", ""}) ::unlink((path_ + part).c_str());
    }
    ~Draft() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    const std::string& path() const { return path_; }
    // Gives it its name; never replaces a file.
    Result<void> keep_as(const std::string& name) {
        if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) != 0) {
            if (errno == EEXIST) return fail(Code::Exists, "{} is there already", name);
            return failed(errno_error("rename to " + name));
        }
        path_.clear();
        return sync_path(folder_of(name), O_RDONLY | O_DIRECTORY);
    }

private:
    std::string path_;
};

// One read transaction: what is committed meanwhile is not in it, and nobody waits.
Result<void> copy_pages(sqlite3* from, sqlite3* to) {
    sqlite3_backup* backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup) return failed(error_of(to, sqlite3_extended_errcode(to)));
    int code = SQLITE_BUSY;
    for (int tries = 0; tries < 10 && (code == SQLITE_BUSY || code == SQLITE_LOCKED); ++tries)
        code = sqlite3_backup_step(backup, -1);
    sqlite3_backup_finish(backup);
    if (code != SQLITE_DONE) return failed(error_of(to, code));
    // One file, without a -wal beside it.
    return run(to, "PRAGMA journal_mode = DELETE");
}

Result<FileState> copy_into(const std::string& from, const std::string& to) {
    auto source = open_file(from, SQLITE_OPEN_READWRITE);
    if (!source) return failed(source.error());
    const UniqueFd made(::open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made) return failed(errno_error("create " + to));
    auto target = open_file(to, SQLITE_OPEN_READWRITE);
    if (!target) return failed(target.error());
    if (auto copied = copy_pages(source->get(), target->get()); !copied)
        return failed(copied.error());
    auto state = check_open(target->get());
    if (!state) return failed(state.error().while_doing("the copy"));
    target->reset();
    if (auto synced = sync_path(to, O_RDWR); !synced) return failed(synced.error());
    return state;
}

Result<void> check_there(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return fail(Code::NotFound, "{} is not there", path);
        return failed(errno_error("stat " + path));
    }
    if (!S_ISREG(found.st_mode)) return fail(Code::Malformed, "{} is no file", path);
    return {};
}

std::string quoted(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
    return quoted + "'";
}

// Relays must not serve whom they must not serve now. Before schema 19 there was no such table, and
// there were no grants.
Result<std::string> barred_too(sqlite3* db) {
    auto tables = number(db,
                         "SELECT (SELECT count(*) FROM main.sqlite_schema WHERE name = "
                         "'barred_nodes') + (SELECT count(*) FROM old.sqlite_schema WHERE name = "
                         "'barred_nodes')");
    if (!tables) return failed(tables.error());
    if (*tables != 2) return std::string();
    return std::string(
        "INSERT INTO main.barred_nodes (tenant_id, node_id, barred_until, revision) SELECT "
        "b.tenant_id, b.node_id, b.barred_until, 0 FROM old.barred_nodes b JOIN main.tenants t ON "
        "t.id = b.tenant_id WHERE true ON CONFLICT (tenant_id, node_id) DO UPDATE SET "
        "barred_until = max(barred_until, excluded.barred_until);");
}

// A node whose keys are barred stays revoked; what can not be read of the old database is lost.
Result<int64_t> keep_revocations(sqlite3* db, const std::string& old) {
    if (auto attached = run(db, "ATTACH " + quoted(old) + " AS old"); !attached)
        return failed(attached.error());
    const std::string script = fmt::format(
        "INSERT INTO barred_keys (kind, hash, barred_at) SELECT kind, hash, barred_at FROM "
        "old.barred_keys WHERE true ON CONFLICT DO NOTHING;"
        "UPDATE nodes SET state = {0} WHERE state <> {0} AND EXISTS (SELECT 1 FROM old.nodes o "
        "WHERE o.tenant_id = nodes.tenant_id AND o.id = nodes.id AND o.state = {0});",
        static_cast<int>(model::NodeState::Revoked));
    auto too = barred_too(db);
    auto kept = too ? run(db, "BEGIN IMMEDIATE;" + *too + script) : failed(too.error());
    const int revoked = sqlite3_changes(db);
    auto ended = run(db, kept ? "COMMIT" : "ROLLBACK");
    auto detached = run(db, "DETACH old");
    for (const auto& done : {kept, ended, detached})
        if (!done) return failed(done.error());
    return revoked;
}

// What SQLite keeps of a file that nobody has open any more goes with it.
Result<void> move_away(const std::string& database, const std::string& to) {
    for (const char* part : {"-wal", "-shm", ""}) {
        if (::rename((database + part).c_str(), (to + part).c_str()) == 0) continue;
        if (errno != ENOENT) return failed(errno_error("rename " + database + part));
    }
    return sync_path(folder_of(database), O_RDONLY | O_DIRECTORY);
}

Result<UniqueFd> lock_database(const std::string& database) {
    const std::string path = database + ".lock";
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return failed(errno_error("open " + path));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK) return failed(errno_error("lock " + path));
    return fail(Code::Unavailable, "{} is in use: stop the controller first", database);
}

// Prepares the copy beside the database: what it must keep, and its new epoch.
Result<Restored> prepare(const std::string& path, const std::string& database, WallTime now) {
    auto db = open_file(path, SQLITE_OPEN_READWRITE);
    if (!db) return failed(db.error());
    auto state = check_open(db->get());
    if (!state) return failed(state.error());
    Restored restored{*state, {}, 0, {}};
    const auto old = check_file(database);
    auto kept = old ? keep_revocations(db->get(), database) : failed(old.error());
    if (kept) restored.revoked_kept = *kept;
    if (!kept && check_there(database)) restored.revocations_lost = kept.error().message;
    const int64_t old_epoch = old ? old->epoch : -1;
    restored.state.epoch = std::max({unix_ms(now), state->epoch + 1, old_epoch + 1});
    auto raised = run(db->get(), fmt::format("UPDATE meta SET epoch = {}", restored.state.epoch));
    if (!raised) return failed(raised.error());
    db->reset();
    if (auto synced = sync_path(path, O_RDWR); !synced) return failed(synced.error());
    return restored;
}

}  // namespace

Result<FileState> check_file(const std::string& path) {
    if (auto there = check_there(path); !there) return failed(there.error());
    auto db = open_file(path, SQLITE_OPEN_READWRITE);
    auto state = db ? check_open(db->get()) : failed(db.error());
    if (!state) return failed(state.error().while_doing(path));
    return state;
}

Result<int> schema_of_file(const std::string& path) {
    auto db = open_file(path, SQLITE_OPEN_READWRITE);
    auto id = db ? number(db->get(), "PRAGMA application_id") : failed(db.error());
    if (!id) return failed(id.error());
    if (*id != kApplicationId) return 0;
    auto schema = number(db->get(), "SELECT version FROM schema_version");
    if (!schema) return failed(schema.error());
    return static_cast<int>(*schema);
}

Result<FileState> copy_database(const std::string& from, const std::string& to) {
    if (auto there = check_there(from); !there) return failed(there.error());
    Draft draft(fmt::format("{}.{}.tmp", to, ::getpid()));
    auto state = copy_into(from, draft.path());
    if (!state) return failed(state.error().while_doing(to));
    if (auto kept = draft.keep_as(to); !kept) return failed(kept.error());
    return state;
}

Result<Restored> restore_database(const std::string& copy, const std::string& database,
                                  WallTime now) {
    auto lock = lock_database(database);
    if (!lock) return failed(lock.error());
    auto good = check_file(copy);
    if (!good) return failed(good.error());
    if (good->schema > newest_schema())
        return fail(Code::Unsupported, "{} has schema {}, this program knows {}: install the newer",
                    copy, good->schema, newest_schema());
    Draft draft(fmt::format("{}.{}.restore", database, ::getpid()));
    if (auto copied = copy_into(copy, draft.path()); !copied) return failed(copied.error());
    auto restored = prepare(draft.path(), database, now);
    if (!restored) return failed(restored.error().while_doing(copy));

    if (check_there(database)) {
        restored->kept_as = fmt::format("{}.before-{}", database, unix_ms(now));
        if (auto moved = move_away(database, restored->kept_as); !moved)
            return failed(moved.error());
    }
    if (auto named = draft.keep_as(database); !named) return failed(named.error());
    return restored;
}

}  // namespace cvlan::store
