// SPDX-License-Identifier: Apache-2.0
// The store on a PostgreSQL server, which several controllers may share.
#include "store/migrate.h"
#include "store/open.h"
#include "store/postgres_feed.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

// A standby follows another server, and a controller that can not write is none.
Result<void> check_writable(Database& db) {
    Statement row = db.sql(
        "SELECT CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END, CASE "
        "current_setting('transaction_read_only') WHEN 'on' THEN 1 ELSE 0 END");
    const bool is_standby = row.next() && row.integer(0) != 0;
    if (row.error()) return failed(*row.error());
    if (is_standby)
        return fail(Code::Unavailable,
                    "is a standby, which can only be read: name the server that is written, or all "
                    "of them with target_session_attrs=read-write");
    if (row.integer(1) != 0)
        return fail(Code::Unavailable, "can only be read (default_transaction_read_only)");
    return {};
}

Result<std::unique_ptr<Store>> open_shared(const PostgresAddress& address, const Clock& clock,
                                           Create create, Post post) {
    auto db = PostgresDatabase::open(address);
    if (!db) return failed(db.error());
    if (auto writable = check_writable(**db); !writable) return failed(writable.error());
    auto empty = is_empty(**db);
    if (!empty) return failed(empty.error());
    if (create == Create::No && *empty) return fail(Code::NotFound, "is empty: restore it");
    if (auto migrated = migrate(**db, clock.now()); !migrated) return failed(migrated.error());
    auto epoch = epoch_of(**db);
    if (!epoch) return failed(epoch.error());
    auto feed = PostgresFeed::open(address, std::move(post), {});
    if (!feed) return failed(feed.error());
    const auto connect = [address](Access) -> Result<std::unique_ptr<Database>> {
        auto opened = PostgresDatabase::open(address);
        if (!opened) return failed(opened.error());
        return std::move(*opened);
    };
    auto engine =
        std::make_unique<Engine>(Engine::Parts{connect, std::move(*db), UniqueFd(), *epoch}, clock);
    if (auto shared = engine->share(std::move(*feed)); !shared) return failed(shared.error());
    return std::make_unique<SqlStore>(std::move(engine));
}

}  // namespace

Result<std::unique_ptr<Store>> open_postgres(const PostgresAddress& address, const Clock& clock,
                                             Create create, Post post) {
    auto store = open_shared(address, clock, create, std::move(post));
    if (!store) return failed(store.error().while_doing("PostgreSQL"));
    return store;
}

}  // namespace cvlan::store
