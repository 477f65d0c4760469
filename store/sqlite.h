// SPDX-License-Identifier: Apache-2.0
#pragma once

// SQLite's connection, statements and transactions as values. Not for several threads at once.

#include <sqlite3.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ip.h"
#include "base/result.h"

namespace cvlan::store {

// A prepared statement on its way. Its first failure ends it and is kept: the caller writes the
// good case and asks error() once, after the loop.
class Statement {
public:
    Statement(sqlite3* db, sqlite3_stmt* statement, bool* is_used);
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&&) = delete;
    ~Statement();

    // The next parameter, from the left.
    Statement& bind(std::string_view text);
    Statement& bind(const char* text) { return bind(std::string_view(text)); }
    Statement& bind(const std::string& text) { return bind(std::string_view(text)); }
    Statement& bind(const Bytes& bytes) { return bind_bytes(bytes); }
    Statement& bind(const Address& address) { return bind_bytes(address.bytes()); }
    Statement& bind(WallTime time) { return bind_integer(unix_ms(time)); }
    template <class T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>) Statement& bind(T value) {
        return bind_integer(static_cast<int64_t>(value));
    }
    template <class T>
    Statement& bind(const std::optional<T>& value) {
        return value ? bind(*value) : bind_null();
    }

    bool next();         // false at the end and at a failure
    Result<void> run();  // to the end
    const std::optional<Error>& error() const { return error_; }

    // Columns of the present row, from 0.
    int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
    bool is_null(int column) const {
        return sqlite3_column_type(statement_, column) == SQLITE_NULL;
    }
    std::string text(int column) const;
    WallTime time(int column) const { return from_unix_ms(integer(column)); }
    std::optional<Address> address(int column) const;

private:
    Statement& bind_bytes(ByteView bytes);
    Statement& bind_integer(int64_t value);
    Statement& bind_null();
    void check(int code);

    sqlite3* db_;
    sqlite3_stmt* statement_;
    bool* is_used_;  // null: the statement is this object's own
    int parameters_ = 0;
    std::optional<Error> error_;
};

class Database {
public:
    static Result<Database> open(const std::string& path);

    // `text` with its parameters; statements are prepared once.
    template <class... Args>
    Statement sql(std::string_view text, const Args&... args) {
        Statement statement = prepare(text);
        (statement.bind(args), ...);
        return statement;
    }
    // Several statements without parameters.
    Result<void> run_script(const std::string& script);
    int changes() const { return sqlite3_changes(db_.get()); }
    int64_t total_changes() const { return sqlite3_total_changes64(db_.get()); }

private:
    struct Close {
        void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
    };
    struct Cached {
        Cached() = default;
        Cached(const Cached&) = delete;
        Cached& operator=(const Cached&) = delete;
        ~Cached() { sqlite3_finalize(statement); }
        sqlite3_stmt* statement = nullptr;
        bool is_used = false;
    };
    explicit Database(sqlite3* db) : db_(db) {}
    Statement prepare(std::string_view text);

    std::unique_ptr<sqlite3, Close> db_;
    std::unordered_map<std::string, std::unique_ptr<Cached>> statements_;  // ends before db_
};

// Rolls back unless committed.
class Transaction {
public:
    static Result<Transaction> begin(Database& db);
    Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();
    Result<void> commit();

private:
    explicit Transaction(Database& db) : db_(&db) {}
    Database* db_;
};

// What a caller can do about SQLite's extended result code.
Error sqlite_error(sqlite3* db, int code);

}  // namespace cvlan::store
