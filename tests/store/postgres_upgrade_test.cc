// SPDX-License-Identifier: Apache-2.0
// An upgrade on a PostgreSQL server, and the step down: pg_dump before the one, a new database and
// pg_restore for the other, as docs/operations.md has it.
#include <future>
#include <iterator>

#include "store/migrate.h"
#include "store/migration_scripts.h"
#include "store/postgres_upkeep.h"
#include "store/sql_store.h"
#include "store/translate.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

constexpr const char* kTenant = "01890000-0000-7000-8000-000000000001";

class PostgresUpgradeTest : public testing::Test {
protected:
    static test::PostgresServer& server() { return test::PostgresServer::instance(); }
    PostgresUpgradeTest() { EXPECT_EQ(of_database("createdb"), 0); }
    // createdb or dropdb.
    int of_database(const char* program) const {
        return server().run({program, "--maintenance-db", server().url(), name_});
    }
    static int older() { return std::prev(std::end(kMigrations), 2)->version; }

    std::unique_ptr<PostgresDatabase> database() const {
        return std::move(*PostgresDatabase::open({url_, {}}));
    }
    // As an older program left it.
    void make_old(int version = older()) const {
        std::string script = fmt::format(
            "CREATE TABLE schema_version (version BIGINT NOT NULL); "
            "INSERT INTO schema_version VALUES ({});",
            version);
        for (const MigrationScript& migration : kMigrations)
            if (migration.version <= version) script += postgres_schema(migration.sql);
        script += fmt::format(
            "INSERT INTO meta (id, epoch) VALUES (1, 7);"
            "INSERT INTO tenants (id, name, created_at) VALUES ('{0}', 'acme', 0);"
            "INSERT INTO networks (tenant_id, id, name, mtu, revision, created_at) "
            "VALUES ('{0}', 'n', 'office', 1420, 0, 0);",
            kTenant);
        if (version == older())
            script += fmt::format(
                "INSERT INTO reserved_addresses (tenant_id, network_id, address, holder, "
                "reserved_at) VALUES ('{}', 'n', '\\x0A000001', 'gateway', 0);",
                kTenant);
        auto made = database()->run_script(script);
        ASSERT_TRUE(made) << made.error().message;
    }
    int64_t schema() const {
        const auto db = database();
        Statement row = db->sql("SELECT version FROM schema_version");
        EXPECT_TRUE(row.next());
        return row.integer(0);
    }
    std::unique_ptr<Store> open() const {
        auto store = open_postgres({url_, {}}, clock_, Create::No);
        EXPECT_TRUE(store) << store.error().message;
        return std::move(*store);
    }

    ManualClock clock_{from_unix_ms(1'700'000'000'000)};
    std::string name_ = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::string url_ = server().database_url(name_);
    std::string dump_ = server().file("dump");
};

TEST_F(PostgresUpgradeTest, WhatWasDumpedBeforeGoesBackToTheOlderProgram) {
    make_old();
    ASSERT_EQ(server().run({"pg_dump", "-Fc", "-f", dump_, "-d", url_}), 0);
    EXPECT_FAILS(check_database(PostgresAddress{url_, {}}, clock_), Code::Unsupported, "schema");
    EXPECT_EQ(schema(), older());
    {
        const auto store = open();
        EXPECT_EQ(store->tenant(kTenant)->name, "acme");
        ASSERT_TRUE(store->update_tenant(kTenant, {.name = "later"}));
    }
    EXPECT_EQ(schema(), newest_schema());
    ASSERT_EQ(of_database("dropdb"), 0);
    ASSERT_EQ(of_database("createdb"), 0);
    ASSERT_EQ(server().run({"pg_restore", "-d", url_, dump_}), 0);
    EXPECT_EQ(schema(), older());
    // And up again.
    const auto store = open();
    EXPECT_EQ(schema(), newest_schema());
    EXPECT_EQ(store->tenant(kTenant)->name, "acme");
    EXPECT_GT(*store->upkeep().new_epoch(), 7);
    EXPECT_TRUE(check_database(PostgresAddress{url_, {}}, clock_)->empty());
}

// Two that start together: one migrates, and the other finds it done.
TEST_F(PostgresUpgradeTest, TwoControllersUpgradeOnce) {
    make_old();
    std::unique_ptr<Store> other;
    std::thread second([&] { other = open(); });
    const auto one = open();
    second.join();
    EXPECT_EQ(schema(), newest_schema());
    EXPECT_EQ(*dynamic_cast<SqlStore&>(*one).addresses().reserved({kTenant, "n"}), 1);
    ASSERT_TRUE(one->update_tenant(kTenant, {.name = "later"}));
    EXPECT_EQ(other->tenant(kTenant)->name, "later");
}

// F48: versions are skipped, from the first on.
TEST_F(PostgresUpgradeTest, EverySchemaThatThereWasBecomesThisOneAndLosesNothing) {
    for (const MigrationScript& migration : kMigrations) {
        if (migration.version == newest_schema()) break;
        ASSERT_EQ(of_database("dropdb"), 0);
        ASSERT_EQ(of_database("createdb"), 0);
        make_old(migration.version);
        const auto store = open();
        ASSERT_TRUE(store) << "from " << migration.version;
        EXPECT_EQ(schema(), newest_schema());
        EXPECT_EQ(store->epoch(), 7);
        EXPECT_EQ(store->tenant(kTenant)->name, "acme");
        EXPECT_EQ(*store->upkeep().check(), std::vector<std::string>{});
    }
}

// F48: its connection is cut before a migration is whole.
TEST_F(PostgresUpgradeTest, AnUpgradeThatIsCutOffGoesOnAtTheNextStart) {
    make_old(kMigrations[0].version);
    const auto admin = database();
    const auto waiting = [&] {
        Statement row = admin->sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
            "wait_event_type = 'Lock'");
        EXPECT_TRUE(row.next());
        return row.integer(0);
    };
    // Whoever holds the row keeps the migration from writing down that it is done.
    const auto holder = database();
    ASSERT_TRUE(holder->run_script("BEGIN; SELECT 1 FROM schema_version FOR UPDATE"));
    auto opening = std::async(std::launch::async, [&] {
        return open_postgres({url_, {}}, clock_, Create::No);
    });
    while (waiting() == 0) std::this_thread::yield();
    ASSERT_TRUE(
        admin->run_script("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                          "current_database() AND wait_event_type = 'Lock'"));
    EXPECT_FAILS(opening.get(), Code::Unavailable, "");
    ASSERT_TRUE(holder->run_script("COMMIT"));
    EXPECT_EQ(schema(), kMigrations[0].version);
    const auto store = open();
    EXPECT_EQ(schema(), newest_schema());
    EXPECT_EQ(store->tenant(kTenant)->name, "acme");
}

// F49: a dump of before the revocation, with a new epoch. What it does not know of is let in again,
// and is revoked anew (docs/operations.md); no agent goes back to an older map.
TEST_F(PostgresUpgradeTest, ADumpThatIsPutBackHasANewEpochThatStays) {
    make_old();
    int64_t before = 0;
    {
        const auto store = open();
        before = store->epoch();
    }
    ASSERT_EQ(server().run({"pg_dump", "-Fc", "-f", dump_, "-d", url_}), 0);
    {
        const auto store = open();
        ASSERT_TRUE(store->update_tenant(kTenant, {.name = "later"}));
    }
    ASSERT_EQ(of_database("dropdb"), 0);
    ASSERT_EQ(of_database("createdb"), 0);
    ASSERT_EQ(server().run({"pg_restore", "-d", url_, dump_}), 0);
    int64_t raised = 0;
    {
        const auto store = open();
        EXPECT_EQ(store->epoch(), before) << "a server does not know that it was put back";
        raised = *store->upkeep().new_epoch();
    }
    EXPECT_GT(raised, before);
    const auto store = open();
    EXPECT_EQ(store->epoch(), raised);
    EXPECT_EQ(store->tenant(kTenant)->name, "acme");
    EXPECT_TRUE(check_database(PostgresAddress{url_, {}}, clock_)->empty());
}

}  // namespace
}  // namespace cvlan::store
