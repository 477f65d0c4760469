// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite.h"

namespace cvlan::store {

namespace {

Code code_of(int extended) {
    switch (extended) {
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
            return Code::Exists;
        case SQLITE_CONSTRAINT_FOREIGNKEY:
            return Code::Conflict;
    }
    switch (extended & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_FULL:
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_READONLY:
            return Code::Unavailable;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return Code::Malformed;
        case SQLITE_TOOBIG:
            return Code::TooLarge;
    }
    return Code::Internal;
}

}  // namespace

Error sqlite_error(sqlite3* db, int code) {
    const char* text = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    return {code_of(code), fmt::format("database: {}", text), db ? sqlite3_system_errno(db) : 0};
}

namespace {

class SqliteCursor final : public Cursor {
public:
    // `cached` is null where the statement is this object's own.
    // Of a statement that could not be compiled, `code` says why.
    SqliteCursor(SqliteDatabase& db, sqlite3_stmt* statement, int code,
                 SqliteDatabase::Cached* cached)
        : db_(db), statement_(statement), cached_(cached) {
        check(code);
        if (cached_) cached_->is_used = true;
    }
    ~SqliteCursor() override;

    void bind_text(std::string_view text) override {
        if (error_) return;
        // An empty view may have no address, which SQLite takes for NULL.
        const char* begin = text.empty() ? "" : text.data();
        check(sqlite3_bind_text64(statement_, ++parameters_, begin, text.size(), SQLITE_TRANSIENT,
                                  SQLITE_UTF8));
    }
    void bind_bytes(ByteView bytes) override {
        if (error_) return;
        check(sqlite3_bind_blob64(statement_, ++parameters_, bytes.data(), bytes.size(),
                                  SQLITE_TRANSIENT));
    }
    void bind_integer(int64_t value) override {
        if (!error_) check(sqlite3_bind_int64(statement_, ++parameters_, value));
    }
    void bind_null() override {
        if (!error_) check(sqlite3_bind_null(statement_, ++parameters_));
    }

    bool next() override;
    Result<void> run() override;

    int64_t integer(int column) const override { return sqlite3_column_int64(statement_, column); }
    bool is_null(int column) const override {
        return sqlite3_column_type(statement_, column) == SQLITE_NULL;
    }
    std::string text(int column) const override;
    Bytes bytes(int column) const override;

private:
    void check(int code) {
        if (code != SQLITE_OK && !error_) error_ = db_.failure(code);
    }

    SqliteDatabase& db_;
    sqlite3_stmt* statement_;
    SqliteDatabase::Cached* cached_;
    int parameters_ = 0;
};

SqliteCursor::~SqliteCursor() {
    if (!cached_) {
        sqlite3_finalize(statement_);
        return;
    }
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
    cached_->is_used = false;
}

bool SqliteCursor::next() {
    if (error_) return false;
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) error_ = db_.failure(code);
    return false;
}

Result<void> SqliteCursor::run() {
    while (next()) {
    }
    if (error_) return failed(*error_);
    return {};
}

std::string SqliteCursor::text(int column) const {
    const auto* begin = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    if (!begin) return {};
    return {begin, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

Bytes SqliteCursor::bytes(int column) const {
    const auto* begin = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
    if (!begin) return {};
    return {begin, begin + sqlite3_column_bytes(statement_, column)};
}

}  // namespace

Result<std::unique_ptr<Database>> SqliteDatabase::open(const std::string& path, Access access,
                                                       std::optional<SqliteFile> file) {
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                      SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    auto db = std::make_unique<SqliteDatabase>(raw, std::move(file));
    if (code != SQLITE_OK) return failed(sqlite_error(raw, code).while_doing(path));
    sqlite3_busy_timeout(raw, 5000);
    // A database that someone crafted must not run functions or write its own schema
    // (sqlite.org/security.html).
    sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    std::string pragmas =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
        "PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON;";
    // One connection writes, and it alone moves the log into the file.
    if (access == Access::Read) pragmas += "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0;";
    if (auto set = db->run_script(pragmas); !set) return failed(set.error().while_doing(path));
    return db;
}

Result<void> SqliteDatabase::run_script(const std::string& script) {
    const int code = sqlite3_exec(db_.get(), script.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failed(failure(code));
    return {};
}

Error SqliteDatabase::failure(int code) {
    Error error = sqlite_error(db_.get(), code);
    const int kind = code & 0xff;
    if (!disk_failure_ && (kind == SQLITE_IOERR || kind == SQLITE_FULL)) disk_failure_ = error;
    return error;
}

std::unique_ptr<Cursor> SqliteDatabase::prepare(std::string_view text) {
    auto& cached = statements_[std::string(text)];
    if (!cached) cached = std::make_unique<Cached>();
    const auto compile = [&](unsigned flags, sqlite3_stmt*& statement) {
        return sqlite3_prepare_v3(db_.get(), text.data(), static_cast<int>(text.size()), flags,
                                  &statement, nullptr);
    };
    int code = SQLITE_OK;
    // The same statement inside its own loop gets one of its own.
    if (cached->is_used) {
        sqlite3_stmt* own = nullptr;
        code = compile(0, own);
        return std::make_unique<SqliteCursor>(*this, own, code, nullptr);
    }
    if (!cached->statement) code = compile(SQLITE_PREPARE_PERSISTENT, cached->statement);
    return std::make_unique<SqliteCursor>(*this, cached->statement, code,
                                          cached->statement ? cached.get() : nullptr);
}

Result<void> SqliteDatabase::check_in_place() const {
    if (!file_) return {};
    return file_->check_in_place();
}

Result<void> SqliteDatabase::begin(Access access) {
    writes_ = access == Access::Write;
    if (writes_)
        if (auto there = check_in_place(); !there) return there;
    return sql(access == Access::Write ? "BEGIN IMMEDIATE" : "BEGIN").run();
}

// A failure of the disk that a statement met is one of the whole transaction, whoever minded it.
Result<void> SqliteDatabase::commit() {
    if (disk_failure_) return failed(*disk_failure_);
    if (writes_)
        if (auto there = check_in_place(); !there) return there;
    return sql("COMMIT").run();
}

// SQLite has rolled back by itself after some failures.
void SqliteDatabase::rollback() {
    if (is_in_transaction()) (void)sql("ROLLBACK").run();
}

void SqliteDatabase::undo_part() {
    if (is_lost()) return;
    (void)sql("ROLLBACK TO part").run();
    (void)sql("RELEASE part").run();
}

}  // namespace cvlan::store
