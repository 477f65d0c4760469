// SPDX-License-Identifier: Apache-2.0
#pragma once

// A connection to one of the two databases, its statements and transactions. Placeholders are `?`
// and `?1`, the SQL is what SQLite 3.40 and PostgreSQL 15 both read. Not for several threads at
// once. Only store includes it.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ip.h"
#include "base/result.h"

namespace cvlan::store {

// What stands behind a Statement: one of SQLite's or PostgreSQL's on its way.
class Cursor {
public:
    Cursor() = default;
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;
    virtual ~Cursor() = default;

    // The next parameter, from the left.
    virtual void bind_text(std::string_view text) = 0;
    virtual void bind_bytes(ByteView bytes) = 0;
    virtual void bind_integer(int64_t value) = 0;
    virtual void bind_null() = 0;

    virtual bool next() = 0;
    virtual Result<void> run() = 0;

    virtual int64_t integer(int column) const = 0;
    virtual bool is_null(int column) const = 0;
    virtual std::string text(int column) const = 0;
    virtual Bytes bytes(int column) const = 0;

    const std::optional<Error>& error() const { return error_; }

protected:
    std::optional<Error> error_;
};

// A prepared statement on its way. Its first failure ends it and is kept: the caller writes the
// good case and asks error() once, after the loop.
class Statement {
public:
    explicit Statement(std::unique_ptr<Cursor> cursor) : cursor_(std::move(cursor)) {}

    // The next parameter, from the left.
    Statement& bind(std::string_view text) {
        cursor_->bind_text(text);
        return *this;
    }
    Statement& bind(const char* text) { return bind(std::string_view(text)); }
    Statement& bind(const std::string& text) { return bind(std::string_view(text)); }
    Statement& bind(const Bytes& bytes) {
        cursor_->bind_bytes(bytes);
        return *this;
    }
    Statement& bind(const Address& address) {
        cursor_->bind_bytes(address.bytes());
        return *this;
    }
    Statement& bind(WallTime time) { return bind(unix_ms(time)); }
    template <class T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>) Statement& bind(T value) {
        cursor_->bind_integer(static_cast<int64_t>(value));
        return *this;
    }
    template <class T>
    Statement& bind(const std::optional<T>& value) {
        if (value) return bind(*value);
        cursor_->bind_null();
        return *this;
    }

    bool next() { return cursor_->next(); }  // false at the end and at a failure
    // To the end. Inside a transaction PostgreSQL is not waited for: what it refuses then is told
    // by the transaction's next statement that has an answer, at the latest by its commit.
    Result<void> run() { return cursor_->run(); }
    const std::optional<Error>& error() const { return cursor_->error(); }

    // Columns of the present row, from 0.
    int64_t integer(int column) const { return cursor_->integer(column); }
    bool is_null(int column) const { return cursor_->is_null(column); }
    std::string text(int column) const { return cursor_->text(column); }
    Bytes bytes(int column) const { return cursor_->bytes(column); }
    WallTime time(int column) const { return from_unix_ms(integer(column)); }
    std::optional<Address> address(int column) const;

private:
    std::unique_ptr<Cursor> cursor_;
};

enum class Dialect { Sqlite, Postgres };
enum class Access { Read, Write };

class Database {
public:
    Database() = default;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    virtual ~Database() = default;

    // `text` with its parameters; statements are prepared once.
    template <class... Args>
    Statement sql(std::string_view text, const Args&... args) {
        Statement statement(prepare(text));
        (statement.bind(args), ...);
        return statement;
    }
    // ... with those of many rows, which are bound next, one row after the other. PostgreSQL has
    // them as an array a column.
    Statement rows(std::string_view text, size_t columns) {
        return Statement(prepare_rows(text, columns));
    }
    // What `questions` asks is answered all at once when the first of it is asked for: a server is
    // waited for one time. It is run to hear what it asks, with no row for an answer; who asks the
    // same, before anything was changed, has the answer that was sent for. It changes nothing.
    // SQLite, which is not waited for, does not run it.
    virtual void ask_ahead(const std::function<void()>& questions) { (void)questions; }
    // Several statements without parameters.
    virtual Result<void> run_script(const std::string& script) = 0;
    virtual int64_t changes() = 0;        // rows that the last statement changed
    virtual int64_t total_changes() = 0;  // rows since the connection was opened
    virtual Dialect dialect() const = 0;

    // A transaction sees one state of the database; one that writes is the only one which does, in
    // all processes. commit() returns when it is on disk, and where it fails it may be there or
    // not.
    virtual Result<void> begin(Access access) = 0;
    virtual Result<void> commit() = 0;
    virtual void rollback() = 0;
    // A part of the transaction that may fail alone. end_part() tells what failed in it.
    virtual Result<void> begin_part() = 0;
    virtual Result<void> end_part() = 0;
    virtual void undo_part() = 0;
    // Waits for what was sent, and tells what failed.
    virtual Result<void> check() = 0;
    // The transaction that was begun is gone, with all its parts.
    virtual bool is_lost() const = 0;
    // ... and nothing of it has happened: run anew it may succeed.
    virtual bool may_run_anew() const = 0;
    // How a failure of what follows is told: as Unavailable, for this reason. Null: as what it is.
    virtual void blame(const char* reason) = 0;
    // The connection is of no use any more.
    virtual bool is_broken() const = 0;
    // At the commit, those who listen in other processes get this note.
    virtual void notify(const std::string& note) = 0;

protected:
    virtual std::unique_ptr<Cursor> prepare(std::string_view text) = 0;
    virtual std::unique_ptr<Cursor> prepare_rows(std::string_view text, size_t columns) = 0;
};

// Rolls back unless committed.
class Transaction {
public:
    static Result<Transaction> begin(Database& db, Access access = Access::Write);
    Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction() {
        if (db_) db_->rollback();
    }
    Result<void> commit();

private:
    explicit Transaction(Database& db) : db_(&db) {}
    Database* db_;
};

}  // namespace cvlan::store
