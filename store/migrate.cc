// SPDX-License-Identifier: Apache-2.0
#include "store/migrate.h"

#include <iterator>

#include "store/migration_scripts.h"
#include "store/translate.h"

namespace cvlan::store {

namespace {

Result<int64_t> one_integer(Database& db, std::string_view query) {
    Statement statement = db.sql(query);
    const int64_t value = statement.next() ? statement.integer(0) : 0;
    if (statement.error()) return failed(*statement.error());
    return value;
}

bool is_sqlite(const Database& db) { return db.dialect() == Dialect::Sqlite; }

// What is translated is what PostgreSQL reads otherwise (translate.h).
Result<void> run_script(Database& db, const std::string& script) {
    if (is_sqlite(db)) return db.run_script(script);
    // A migration may take its time.
    return db.run_script("SET LOCAL statement_timeout = 0;" + postgres_schema(script));
}

// SQLite keeps the number of a program in its file; in PostgreSQL the table's name has to do.
Result<bool> is_ours(Database& db) {
    auto found = one_integer(
        db, is_sqlite(db) ? "PRAGMA application_id"
                          : "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() "
                            "AND tablename = 'schema_version'");
    if (!found) return failed(found.error());
    if (!is_sqlite(db) || *found == 0) return *found == 1;
    if (*found != kApplicationId) return fail(Code::Malformed, "is no database of cvlan");
    return true;
}

Result<void> make_ours(Database& db) {
    auto ours = is_ours(db);
    if (!ours) return failed(ours.error());
    if (*ours) return {};
    auto empty = is_empty(db);
    if (!empty) return failed(empty.error());
    if (!*empty) return fail(Code::Malformed, "is no database of cvlan");
    std::string script =
        "CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;"
        "INSERT INTO schema_version (version) VALUES (0);";
    if (is_sqlite(db)) script += fmt::format("PRAGMA application_id = {};", kApplicationId);
    return run_script(db, script);
}

Result<void> apply(Database& db, const MigrationScript& migration) {
    if (auto applied = run_script(db, migration.sql); !applied)
        return failed(applied.error().while_doing(fmt::format("migration {}", migration.version)));
    return db.sql("UPDATE schema_version SET version = ?", migration.version).run();
}

// Only one process at a time is in a transaction that writes: two controllers that start together
// do this one after the other.
Result<bool> apply_next(Database& db) {
    auto transaction = Transaction::begin(db);
    if (!transaction) return failed(transaction.error());
    if (auto ours = make_ours(db); !ours) return failed(ours.error());
    auto version = one_integer(db, "SELECT version FROM schema_version");
    if (!version) return failed(version.error());
    const int newest = newest_schema();
    if (*version > newest)
        return fail(Code::Unsupported,
                    "has schema {}, this program knows {}: install the newer one", *version,
                    newest);
    bool has_applied = false;
    for (const MigrationScript& migration : kMigrations) {
        if (migration.version <= *version || has_applied) continue;
        if (auto applied = apply(db, migration); !applied) return failed(applied.error());
        has_applied = true;
    }
    if (auto committed = transaction->commit(); !committed) return failed(committed.error());
    return has_applied;
}

}  // namespace

int newest_schema() { return std::prev(std::end(kMigrations))->version; }

Result<int64_t> schema_of(Database& db) {
    auto ours = is_ours(db);
    if (!ours) return failed(ours.error());
    if (!*ours) return fail(Code::Malformed, "is no database of cvlan");
    return one_integer(db, "SELECT version FROM schema_version");
}

Result<bool> is_empty(Database& db) {
    auto objects = one_integer(
        db, is_sqlite(db) ? "SELECT count(*) FROM sqlite_schema"
                          : "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()");
    if (!objects) return failed(objects.error());
    return *objects == 0;
}

Result<void> migrate(Database& db, WallTime now) {
    while (true) {
        auto applied = apply_next(db);
        if (!applied) return failed(applied.error());
        if (!*applied) break;
    }
    return db.sql("INSERT INTO meta (id, epoch) VALUES (1, ?) ON CONFLICT DO NOTHING", unix_ms(now))
        .run();
}

Result<int64_t> epoch_of(Database& db) {
    Statement meta = db.sql("SELECT epoch FROM meta");
    if (meta.next()) return meta.integer(0);
    if (meta.error()) return failed(*meta.error());
    return fail(Code::Malformed, "has no epoch");
}

}  // namespace cvlan::store
