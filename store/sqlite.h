// SPDX-License-Identifier: Apache-2.0
#pragma once

// SQLite's connection, behind the shape that both databases have.

#include <sqlite3.h>

#include <unordered_map>

#include "store/database.h"
#include "store/sqlite_file.h"

namespace cvlan::store {

class SqliteDatabase final : public Database {
public:
    // For one who reads, a connection that can change nothing. With `file`, nothing is written once
    // that one has lost its place.
    static Result<std::unique_ptr<Database>> open(const std::string& path,
                                                  Access access = Access::Write,
                                                  std::optional<SqliteFile> file = std::nullopt);
    explicit SqliteDatabase(sqlite3* db, std::optional<SqliteFile> file = std::nullopt)
        : file_(std::move(file)), db_(db) {}

    Result<void> run_script(const std::string& script) override;
    int64_t changes() override { return sqlite3_changes64(db_.get()); }
    int64_t total_changes() override { return sqlite3_total_changes64(db_.get()); }
    Dialect dialect() const override { return Dialect::Sqlite; }

    Result<void> begin(Access access) override;
    Result<void> commit() override;
    void rollback() override;
    Result<void> begin_part() override { return sql("SAVEPOINT part").run(); }
    Result<void> end_part() override { return sql("RELEASE part").run(); }
    void undo_part() override;
    Result<void> check() override { return {}; }
    bool is_lost() const override { return is_broken() || !is_in_transaction(); }
    bool may_run_anew() const override { return false; }
    // Once the disk has failed it: what of its writes is there is known to nobody.
    bool is_broken() const override { return disk_failure_.has_value(); }
    void blame(const char*) override {}          // each statement tells its own failure
    void notify(const std::string&) override {}  // no other process has the file

    // What the statement that ended with this code tells.
    Error failure(int code);

    struct Cached {
        Cached() = default;
        Cached(const Cached&) = delete;
        Cached& operator=(const Cached&) = delete;
        ~Cached() { sqlite3_finalize(statement); }
        sqlite3_stmt* statement = nullptr;
        bool is_used = false;
    };

private:
    struct Close {
        void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
    };
    bool is_in_transaction() const { return sqlite3_get_autocommit(db_.get()) == 0; }
    std::unique_ptr<Cursor> prepare(std::string_view text) override;
    std::unique_ptr<Cursor> prepare_rows(std::string_view text, size_t) override {
        return prepare(text);
    }

    Result<void> check_in_place() const;

    std::optional<SqliteFile> file_;
    std::optional<Error> disk_failure_;  // the first
    bool writes_ = false;                // in the transaction that is open
    std::unique_ptr<sqlite3, Close> db_;
    std::unordered_map<std::string, std::unique_ptr<Cached>> statements_;  // ends before db_
};

// What a caller can do about SQLite's extended result code.
Error sqlite_error(sqlite3* db, int code);

}  // namespace cvlan::store
