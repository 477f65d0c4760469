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

Statement::Statement(sqlite3* db, sqlite3_stmt* statement, bool* is_used)
    : db_(db), statement_(statement), is_used_(is_used) {
    if (!statement_) error_ = sqlite_error(db_, sqlite3_extended_errcode(db_));
    if (is_used_) *is_used_ = true;
}

Statement::Statement(Statement&& other) noexcept
    : db_(other.db_),
      statement_(std::exchange(other.statement_, nullptr)),
      is_used_(std::exchange(other.is_used_, nullptr)),
      parameters_(other.parameters_),
      error_(std::move(other.error_)) {}

Statement::~Statement() {
    if (!is_used_) {
        sqlite3_finalize(statement_);
        return;
    }
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
    *is_used_ = false;
}

void Statement::check(int code) {
    if (code != SQLITE_OK && !error_) error_ = sqlite_error(db_, code);
}

Statement& Statement::bind(std::string_view text) {
    if (error_) return *this;
    // An empty view may have no address, which SQLite takes for NULL.
    const char* begin = text.empty() ? "" : text.data();
    check(sqlite3_bind_text64(statement_, ++parameters_, begin, text.size(), SQLITE_TRANSIENT,
                              SQLITE_UTF8));
    return *this;
}

Statement& Statement::bind_bytes(ByteView bytes) {
    if (error_) return *this;
    check(sqlite3_bind_blob64(statement_, ++parameters_, bytes.data(), bytes.size(),
                              SQLITE_TRANSIENT));
    return *this;
}

Statement& Statement::bind_integer(int64_t value) {
    if (error_) return *this;
    check(sqlite3_bind_int64(statement_, ++parameters_, value));
    return *this;
}

Statement& Statement::bind_null() {
    if (error_) return *this;
    check(sqlite3_bind_null(statement_, ++parameters_));
    return *this;
}

bool Statement::next() {
    if (error_) return false;
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) error_ = sqlite_error(db_, code);
    return false;
}

Result<void> Statement::run() {
    while (next()) {
    }
    if (error_) return failed(*error_);
    return {};
}

std::string Statement::text(int column) const {
    const auto* begin = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    if (!begin) return {};
    return {begin, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

std::optional<Address> Statement::address(int column) const {
    if (is_null(column)) return std::nullopt;
    const auto* begin = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    auto address = Address::from_bytes({begin, size});
    if (!address) return std::nullopt;
    return *address;
}

Result<Database> Database::open(const std::string& path) {
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                      SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    Database db(raw);
    if (code != SQLITE_OK) return failed(sqlite_error(raw, code).while_doing(path));
    sqlite3_busy_timeout(raw, 5000);
    // A database that someone crafted must not run functions or write its own schema
    // (sqlite.org/security.html).
    sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    const char* pragmas =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
        "PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON;";
    if (auto set = db.run_script(pragmas); !set) return failed(set.error().while_doing(path));
    return db;
}

Result<void> Database::run_script(const std::string& script) {
    const int code = sqlite3_exec(db_.get(), script.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failed(sqlite_error(db_.get(), code));
    return {};
}

Statement Database::prepare(std::string_view text) {
    auto& cached = statements_[std::string(text)];
    if (!cached) cached = std::make_unique<Cached>();
    const auto compile = [&](unsigned flags) {
        sqlite3_stmt* statement = nullptr;
        sqlite3_prepare_v3(db_.get(), text.data(), static_cast<int>(text.size()), flags, &statement,
                           nullptr);
        return statement;
    };
    // The same statement inside its own loop gets one of its own.
    if (cached->is_used) return Statement(db_.get(), compile(0), nullptr);
    if (!cached->statement) cached->statement = compile(SQLITE_PREPARE_PERSISTENT);
    return Statement(db_.get(), cached->statement, cached->statement ? &cached->is_used : nullptr);
}

Result<Transaction> Transaction::begin(Database& db) {
    if (auto begun = db.sql("BEGIN IMMEDIATE").run(); !begun) return failed(begun.error());
    return Transaction(db);
}

Transaction::~Transaction() {
    // SQLite has rolled back by itself after some failures; then this one says so, and that is
    // fine.
    if (db_) (void)db_->sql("ROLLBACK").run();
}

Result<void> Transaction::commit() {
    auto done = db_->sql("COMMIT").run();
    if (done) db_ = nullptr;
    return done;
}

}  // namespace cvlan::store
