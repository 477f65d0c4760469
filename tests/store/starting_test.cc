// SPDX-License-Identifier: Apache-2.0
// Migration 0017: what was asked of the table of events stands with the rows from then on.
#include "store/migrate.h"
#include "store/migration_scripts.h"
#include "store/translate.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

constexpr int kMigration = 17;

class StartingTest : public testing::Test {
protected:
    // As a program of before left it.
    void make_old(std::string_view rows) const {
        std::string script = fmt::format(
            "CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;"
            "INSERT INTO schema_version VALUES ({});",
            kMigration - 1);
        for (const MigrationScript& migration : kMigrations)
            if (migration.version < kMigration) script += migration.sql;
        script += "INSERT INTO meta (id, epoch) VALUES (1, 7);";
        script += rows;
        const auto db = place_.database();
        // The server's databases are copies of one that has the present schema.
        if (db->dialect() == Dialect::Postgres)
            script = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;" + postgres_schema(script);
        if (db->dialect() == Dialect::Sqlite)
            script += fmt::format("PRAGMA application_id = {};", kApplicationId);
        const auto made = db->run_script(script);
        ASSERT_TRUE(made) << made.error().message;
    }

    test::TestStore place_;
    ManualClock clock_{from_unix_ms(1'700'000'000'000)};
};

TEST_F(StartingTest, TakesFromTheEventsWhatMapsNeed) {
    make_old(
        "INSERT INTO tenants (id, name, created_at, revision) VALUES ('a', 'acme', 0, 9), "
        "('b', 'bolt', 0, 5), ('c', 'cold', 0, 3);"
        "INSERT INTO networks (tenant_id, id, name, mtu, revision, created_at) VALUES "
        "('a', 'n', 'office', 1420, 1, 0);"
        "INSERT INTO nodes (tenant_id, id, name, state, role, certificate_serial, tls_key_hash, "
        "certificate_expires_at, enrolled_with, created_at, revision) VALUES "
        "('a', 'x', 'anna', 0, 0, '', 'x', 0, '', 0, 5), "
        "('a', 'y', 'bert', 0, 0, '', 'y', 0, '', 0, 4);"
        "INSERT INTO memberships (tenant_id, network_id, node_id, wireguard_key, listen_port, "
        "endpoints, revision) VALUES ('a', 'n', 'x', 'k', 1, '', 5), "
        "('a', 'n', 'y', 'l', 1, '', 4);"
        "INSERT INTO events (tenant_id, revision, kind, object_id, network_ids, at) VALUES "
        "('a', 2, 8, 'x', 'n', 0), ('a', 4, 8, 'y', 'n', 0), ('a', 5, 9, 'x', 'n', 0), "
        "('a', 6, 13, 'z', 'n', 0), ('a', 9, 15, 'y', 'n', 0), "
        "('b', 4, 8, 'w', '', 0);");
    auto store = place_.open(clock_);
    ASSERT_TRUE(store) << store.error().message;
    const auto inputs = (*store)->map_inputs("a");
    ASSERT_TRUE(inputs) << inputs.error().message;
    EXPECT_EQ(inputs->removed_at, 6);
    ASSERT_EQ(inputs->members.size(), 2u);
    EXPECT_EQ(inputs->members[0].came_in_at, 5);
    EXPECT_EQ(inputs->members[1].came_in_at, 4);
    EXPECT_EQ((*store)->map_inputs("b")->removed_at, 3) << "retention took what was before";
    EXPECT_EQ((*store)->map_inputs("c")->removed_at, 3) << "retention took all";
}

}  // namespace
}  // namespace cvlan::store
