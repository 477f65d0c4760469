// SPDX-License-Identifier: Apache-2.0
#include "store/migrate.h"

#include <iterator>

#include "store/migration_scripts.h"

namespace cvlan::store {

namespace {

Result<int64_t> one_integer(Database& db, std::string_view query) {
    Statement statement = db.sql(query);
    const int64_t value = statement.next() ? statement.integer(0) : 0;
    if (statement.error()) return failed(*statement.error());
    return value;
}

Result<void> make_ours(Database& db) {
    auto id = one_integer(db, "PRAGMA application_id");
    if (!id) return failed(id.error());
    if (*id == kApplicationId) return {};
    auto objects = one_integer(db, "SELECT count(*) FROM sqlite_schema");
    if (!objects) return failed(objects.error());
    if (*id != 0 || *objects != 0) return fail(Code::Malformed, "is no database of cvlan");

    auto transaction = Transaction::begin(db);
    if (!transaction) return failed(transaction.error());
    const std::string script = fmt::format(
        "PRAGMA application_id = {};"
        "CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;"
        "INSERT INTO schema_version VALUES (0);",
        kApplicationId);
    if (auto made = db.run_script(script); !made) return made;
    return transaction->commit();
}

Result<void> apply(Database& db, const MigrationScript& migration) {
    auto transaction = Transaction::begin(db);
    if (!transaction) return failed(transaction.error());
    if (auto applied = db.run_script(migration.sql); !applied)
        return failed(applied.error().while_doing(fmt::format("migration {}", migration.version)));
    auto noted = db.sql("UPDATE schema_version SET version = ?", migration.version).run();
    if (!noted) return noted;
    return transaction->commit();
}

}  // namespace

int newest_schema() { return std::prev(std::end(kMigrations))->version; }

Result<void> migrate(Database& db, WallTime now) {
    if (auto ours = make_ours(db); !ours) return ours;
    auto version = one_integer(db, "SELECT version FROM schema_version");
    if (!version) return failed(version.error());
    const int newest = newest_schema();
    if (*version > newest)
        return fail(Code::Unsupported,
                    "has schema {}, this program knows {}: install the newer one", *version,
                    newest);
    for (const MigrationScript& migration : kMigrations)
        if (migration.version > *version)
            if (auto applied = apply(db, migration); !applied) return applied;
    return db.sql("INSERT OR IGNORE INTO meta (id, epoch) VALUES (1, ?)", unix_ms(now)).run();
}

}  // namespace cvlan::store
