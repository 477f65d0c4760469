// SPDX-License-Identifier: Apache-2.0
// Transactions, notifications and the cursor of PostgreSQL.
#include <charconv>
#include <cstring>

#include "store/postgres_arrays.h"

namespace cvlan::store {

namespace {

// One writes at a time, in all controllers: what holds for SQLite's one connection holds here, and
// revisions rise without gaps in the order of the commits.
constexpr const char* kWriteLock = "SELECT pg_advisory_xact_lock(4851300064)";

constexpr const char* kStudy =
    "DO $$ DECLARE name regclass; BEGIN SET LOCAL default_statistics_target = 10; FOR name IN "
    "SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = "
    "current_schema()::regnamespace "
    "LOOP EXECUTE format('ANALYZE (SKIP_LOCKED) %s', name); END LOOP; END $$";

// The rows are all here once the first is: a statement inside its own loop disturbs nothing.
class PostgresCursor : public Cursor {
public:
    PostgresCursor(PostgresDatabase& db, std::string_view text) : db_(db), text_(text) {}

    void bind_text(std::string_view text) override {
        parameters_.push_back({kText, std::string(text)});
    }
    void bind_bytes(ByteView bytes) override {
        parameters_.push_back({kBytea, std::string(as_text(bytes))});
    }
    void bind_integer(int64_t value) override {
        parameters_.push_back({kInt8, fmt::format("{}", value)});
    }
    void bind_null() override { parameters_.push_back({}); }

    bool next() override;
    Result<void> run() override;

    int64_t integer(int column) const override;
    bool is_null(int column) const override { return PQgetisnull(rows_.get(), row_, column) == 1; }
    std::string text(int column) const override {
        return {PQgetvalue(rows_.get(), row_, column),
                static_cast<size_t>(PQgetlength(rows_.get(), row_, column))};
    }
    Bytes bytes(int column) const override;

protected:
    virtual std::vector<PgParameter> parameters() { return std::move(parameters_); }

private:
    PostgresDatabase& db_;
    std::string text_;
    std::vector<PgParameter> parameters_;
    PostgresDatabase::Rows rows_;
    int row_ = -1;
};

class PostgresRowsCursor final : public PostgresCursor {
public:
    PostgresRowsCursor(PostgresDatabase& db, std::string_view text, size_t columns)
        : PostgresCursor(db, text), arrays_(columns) {}

    void bind_text(std::string_view text) override { arrays_.put(kText, text); }
    void bind_bytes(ByteView bytes) override { arrays_.put(kBytea, as_text(bytes)); }
    void bind_integer(int64_t value) override { arrays_.put(value); }
    void bind_null() override { error_ = Error{Code::Internal, "database: NULL in a row of many"}; }

private:
    std::vector<PgParameter> parameters() override { return arrays_.parameters(); }

    PostgresArrays arrays_;
};

bool PostgresCursor::next() {
    if (error_) return false;
    if (!rows_ && db_.is_asking_ahead()) {
        db_.send_ahead(text_, parameters());
        return false;
    }
    if (!rows_) {
        auto rows = db_.ask(text_, parameters());
        if (!rows) {
            error_ = rows.error();
            return false;
        }
        rows_ = std::move(*rows);
    }
    return ++row_ < PQntuples(rows_.get());
}

Result<void> PostgresCursor::run() {
    if (!error_ && !rows_)
        if (auto told = db_.tell(text_, parameters()); !told) error_ = told.error();
    if (error_) return failed(*error_);
    return {};
}

int64_t PostgresCursor::integer(int column) const {
    const char* text = PQgetvalue(rows_.get(), row_, column);
    int64_t value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    return text[0] == 't' ? 1 : value;
}

// "\x0a64…": bytea_output is hex.
Bytes PostgresCursor::bytes(int column) const {
    const std::string value = text(column);
    if (!value.starts_with("\\x")) return {};
    auto bytes = from_hex(std::string_view(value).substr(2));
    return bytes ? *bytes : Bytes{};
}

}  // namespace

std::unique_ptr<Cursor> PostgresDatabase::prepare(std::string_view text) {
    return std::make_unique<PostgresCursor>(*this, text);
}

std::unique_ptr<Cursor> PostgresDatabase::prepare_rows(std::string_view text, size_t columns) {
    return std::make_unique<PostgresRowsCursor>(*this, text, columns);
}

// To a table of which nothing is known every index is as good as any other, and the server's own
// look at it (autovacuum) comes a minute after the first rows: until then a statement may read all
// nodes of a tenant to find one. So a writer lets it look each time it has done twice as much, from
// a small sample; it makes all connections' plans anew. Where that fails, nothing is lost.
void PostgresDatabase::study_tables() {
    studies_at_ = executed_ < kLastStudy ? 2 * executed_ : UINT64_MAX;
    (void)run_script(kStudy);
    failure_.reset();
}

// READ COMMITTED for one who writes: each statement sees what was committed before it, and so all
// that was written before the lock was had.
Result<void> PostgresDatabase::begin(Access access) {
    if (!sent_.empty()) (void)read_all();  // the end of the last one that read
    ahead_.clear();
    if (access == Access::Write && executed_ >= studies_at_) study_tables();
    failure_.reset();
    may_run_anew_ = false;
    is_committing_ = false;
    reason_ = nullptr;
    open_ = access;
    renew_deadline();
    if (is_broken_) {
        may_run_anew_ = true;
        return fail(Code::Unavailable, "database: connection lost");
    }
    if (access == Access::Read) return send("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {});
    if (auto begun = send("BEGIN", {}); !begun) return begun;
    return send(kWriteLock, {});
}

// What one reads is known before the transaction's end: that is not waited for.
Result<void> PostgresDatabase::commit() {
    ahead_.clear();
    if (auto good = outcome(); !good) return good;
    const bool is_read = open_ == Access::Read;
    if (auto sent = send("COMMIT", {}); !sent) return sent;
    is_committing_ = !is_read;
    if (auto synced = sync(); !synced) return synced;
    if (!is_read) {
        auto done = read_all();
        if (!done) return failed(done.error());
        // A transaction that failed ends with success, as ROLLBACK.
        if (std::string_view(PQcmdStatus(done->get())) != "COMMIT")
            return fail(Code::Internal, "database: the transaction was rolled back");
    }
    open_.reset();
    return {};
}

void PostgresDatabase::rollback() {
    ahead_.clear();
    const bool was_open = open_.has_value();
    if (!sent_.empty() && sync()) (void)read_all();
    const bool again = may_run_anew_;
    is_committing_ = false;
    open_.reset();
    failure_.reset();
    if (was_open && !is_broken_) (void)ask("ROLLBACK", {});
    failure_.reset();
    may_run_anew_ = again;
}

Result<void> PostgresDatabase::begin_part() {
    reason_ = nullptr;
    return send("SAVEPOINT part", {});
}

Result<void> PostgresDatabase::end_part() {
    auto done = ask("RELEASE SAVEPOINT part", {});
    if (!done) return failed(done.error());
    return {};
}

void PostgresDatabase::undo_part() {
    ahead_.clear();
    if (!sent_.empty() && sync()) (void)read_all();
    if (is_lost()) return;
    failure_.reset();
    if (send("ROLLBACK TO SAVEPOINT part", {})) (void)ask("RELEASE SAVEPOINT part", {});
}

Result<void> PostgresDatabase::check() {
    if (!sent_.empty() && sync()) (void)read_all();
    return outcome();
}

void PostgresDatabase::notify(const std::string& note) {
    (void)send(fmt::format("SELECT pg_notify('{}', ?)", kEventChannel), {{kText, note}});
}

Result<void> PostgresDatabase::listen() {
    auto done = ask(fmt::format("LISTEN {}", kEventChannel), {});
    if (!done) return failed(done.error());
    return {};
}

// Of a connection that only listens no word would tell that the server is gone.
Result<void> PostgresDatabase::see_whether_it_answers() {
    auto done = ask("SELECT 1", {});
    if (!done) return failed(done.error());
    return {};
}

Result<std::vector<std::string>> PostgresDatabase::notifications() {
    if (PQconsumeInput(conn_.get()) != 1)
        return failed(lose_connection(PQerrorMessage(conn_.get())));
    std::vector<std::string> notes;
    while (PGnotify* note = PQnotifies(conn_.get())) {
        notes.emplace_back(note->extra);
        PQfreemem(note);
    }
    return notes;
}

}  // namespace cvlan::store
