// SPDX-License-Identifier: Apache-2.0
// Backups of the SQLite file, their way back, and what a check finds.
#include "store/sqlite_copy.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "store/migrate.h"
#include "store/migration_scripts.h"
#include "store/sql_store.h"
#include "store/sqlite.h"
#include "store/upkeep.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

// What the first program knew, and what a migration makes anew: to be held by all later ones.
constexpr const char* kKept =
    "INSERT INTO meta (id, epoch) VALUES (1, 7);"
    "INSERT INTO tenants (id, name, created_at) VALUES ('t', 'acme', 0);"
    "INSERT INTO networks (tenant_id, id, name, mtu, revision, created_at, node_count) "
    "VALUES ('t', 'n', 'office', 1420, 0, 0, 1);"
    "INSERT INTO tokens (tenant_id, id, network_id, role, nonce_hash, uses_total, uses_left, "
    "created_at, expires_at) VALUES ('t', 'k', 'n', 0, 'h', 2, 1, 0, 0);"
    "INSERT INTO nodes (tenant_id, id, name, state, role, certificate_serial, tls_key_hash, "
    "certificate_expires_at, enrolled_with, created_at, revision) "
    "VALUES ('t', 'a', 'alpha', 0, 0, 's', 'h', 0, 'k', 0, 0);"
    "INSERT INTO memberships (tenant_id, network_id, node_id, wireguard_key, revision) "
    "VALUES ('t', 'n', 'a', 'w', 0);";
constexpr const char* kReserved =
    "INSERT INTO reserved_addresses (tenant_id, network_id, address, holder, reserved_at) "
    "VALUES ('t', 'n', X'0A000001', 'gateway', 0);";

struct SqliteCopyTest : StoreTest {
    std::string path_ = place_.file("cvlan.db");
    std::string copy_ = place_.file("backup");
    model::Network network_ = network(tenant("acme"), "office", "10.1.0.0/24");

    void run_sql(const std::string& script) {
        auto done = (*SqliteDatabase::open(path_))->run_script(script);
        EXPECT_TRUE(done) << done.error().message;
    }
    // As an older program left it.
    void make_old(int version = older()) {
        store_.reset();
        for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + part);
        auto db = SqliteDatabase::open(path_);
        ASSERT_TRUE(db);
        std::string script = fmt::format(
            "PRAGMA application_id = {}; CREATE TABLE schema_version (version INTEGER NOT NULL) "
            "STRICT; INSERT INTO schema_version VALUES ({});",
            kApplicationId, version);
        for (const MigrationScript& migration : kMigrations)
            if (migration.version <= version) script += migration.sql;
        script += kKept;
        if (version == older()) script += kReserved;
        auto made = (*db)->run_script(script);
        ASSERT_TRUE(made) << made.error().message;
    }
    static int older() { return std::prev(std::end(kMigrations), 2)->version; }
    size_t files() const {
        const std::filesystem::directory_iterator folder(place_.folder());
        return static_cast<size_t>(std::distance(begin(folder), end(folder)));
    }
};

TEST_F(SqliteCopyTest, IsTakenWhileOthersWriteAndIsWhole) {
    std::atomic<bool> stop = false;
    std::thread writer([&] {
        for (int i = 0; !stop; ++i)
            (void)store_->change_network({network_.tenant_id, network_.id},
                                         {.name = fmt::format("n{}", i)});
    });
    const auto state = copy_database(path_, copy_);
    stop = true;
    writer.join();
    ASSERT_TRUE(state) << state.error().message;
    EXPECT_EQ(state->schema, newest_schema());
    struct stat found {};
    ASSERT_EQ(::stat(copy_.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600u);
    EXPECT_FALSE(std::filesystem::exists(copy_ + "-wal"));
    const auto opened = open_sqlite(copy_, clock_, Create::No);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_TRUE((*opened)->network({}, network_.id));
    const auto verdicts = (*opened)->verify_audit({});
    ASSERT_TRUE(verdicts) << verdicts.error().message;
    for (const auto& verdict : *verdicts) EXPECT_EQ(verdict.fault, "");
}

TEST_F(SqliteCopyTest, ReplacesNoFileAndLeavesNoneBehindWhenItFails) {
    ASSERT_TRUE(copy_database(path_, copy_));
    const size_t before = files();
    EXPECT_EQ(copy_database(path_, copy_).error().code, Code::Exists);
    EXPECT_EQ(copy_database(place_.file("nothing"), place_.file("b")).error().code, Code::NotFound);
    EXPECT_EQ(files(), before);
}

TEST_F(SqliteCopyTest, IsNotPutBackWhileTheDatabaseIsInUse) {
    ASSERT_TRUE(copy_database(path_, copy_));
    EXPECT_EQ(restore_database(copy_, path_, clock_.now()).error().code, Code::Unavailable);
    EXPECT_TRUE(store_->tenant(network_.tenant_id));
}

TEST_F(SqliteCopyTest, IsNotPutBackWhenItIsNoneOfOursDamagedOrNewer) {
    ASSERT_TRUE(copy_database(path_, copy_));
    store_.reset();
    const std::string other = place_.file("other");
    std::ofstream(other) << "not a database at all, but long enough to be taken for a header .....";
    EXPECT_FALSE(restore_database(other, path_, clock_.now()));
    ASSERT_TRUE(
        (*SqliteDatabase::open(place_.file("foreign")))->run_script("CREATE TABLE t (a INTEGER)"));
    EXPECT_EQ(restore_database(place_.file("foreign"), path_, clock_.now()).error().code,
              Code::Malformed);
    {
        std::fstream damaged(copy_, std::ios::in | std::ios::out | std::ios::binary);
        damaged.seekp(8192);
        damaged << std::string(20'000, 'x');
    }
    EXPECT_FALSE(restore_database(copy_, path_, clock_.now()));
    open();
    EXPECT_TRUE(store_->tenant(network_.tenant_id));
    ASSERT_TRUE(copy_database(path_, place_.file("newer")));
    ASSERT_TRUE((*SqliteDatabase::open(place_.file("newer")))
                    ->run_script("UPDATE schema_version SET version = 9999"));
    store_.reset();
    EXPECT_EQ(restore_database(place_.file("newer"), path_, clock_.now()).error().code,
              Code::Unsupported);
}

// F49: what was revoked since does not come back.
TEST_F(SqliteCopyTest, PutBackItHasANewEpochAndWhatWasRevokedSinceStaysSo) {
    const auto claims = token(network_, 9);
    const auto request = enrolment(claims);
    const Key key = key_of(enrolled(request).node);
    const int64_t epoch = store_->epoch();
    ASSERT_TRUE(copy_database(path_, copy_));
    ASSERT_TRUE(store_->revoke_node(key));
    ASSERT_TRUE(store_->update_tenant(key.tenant_id, {.name = "renamed"}));
    store_.reset();
    const auto restored = restore_database(copy_, path_, clock_.now());
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(restored->revoked_kept, 1);
    EXPECT_EQ(restored->revocations_lost, "");
    EXPECT_TRUE(check_file(restored->kept_as));
    open();
    EXPECT_GT(store_->epoch(), epoch);
    EXPECT_EQ(store_->epoch(), restored->state.epoch);
    EXPECT_EQ(store_->tenant(key.tenant_id)->name, "acme");
    EXPECT_EQ(store_->node({}, key.id)->state, model::NodeState::Revoked);
    EXPECT_EQ(store_->map_inputs(key.tenant_id)->barred.at(0).node_id, key.id) << "at relays too";
    const auto again = store_->enrol(request, [](const Key&) -> Result<CertificateRow> {
        return CertificateRow{"ff", from_unix_ms(1)};
    });
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().reason, "KEY_BARRED");
}

TEST_F(SqliteCopyTest, PutsBackWhereTheDatabaseIsLostOrUnreadable) {
    ASSERT_TRUE(copy_database(path_, copy_));
    store_.reset();
    std::ofstream(path_, std::ios::trunc) << "garbage, all over the place";
    for (const char* part : {"-wal", "-shm"}) std::filesystem::remove(path_ + part);
    auto restored = restore_database(copy_, path_, clock_.now());
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_NE(restored->revocations_lost, "");
    std::filesystem::remove(path_);
    restored = restore_database(copy_, path_, clock_.now());
    ASSERT_TRUE(restored);
    EXPECT_EQ(restored->revocations_lost, "");
    open();
    EXPECT_TRUE(store_->network({}, network_.id));
}

// An upgrade, and the step down: the copy goes back to the older program.
TEST_F(SqliteCopyTest, AMigrationLeavesACopyThatTheOlderProgramTakesBack) {
    make_old();
    const auto tried = try_migration(path_, clock_);
    ASSERT_TRUE(tried) << tried.error().message;
    EXPECT_EQ(tried->from, older());
    EXPECT_EQ(tried->to, newest_schema());
    EXPECT_EQ(check_file(path_)->schema, older());
    open();
    EXPECT_EQ(*dynamic_cast<SqlStore&>(*store_).addresses().reserved({"t", "n"}), 1);
    store_.reset();
    EXPECT_EQ(check_file(path_)->schema, newest_schema());
    const std::string kept = fmt::format("{}.schema-{}", path_, older());
    EXPECT_EQ(check_file(kept)->schema, older());
    ASSERT_TRUE(restore_database(kept, path_, clock_.now()));
    EXPECT_EQ(check_file(path_)->schema, older());
    EXPECT_GT(check_file(path_)->epoch, 7);
}

// F48: versions are skipped, from the first on.
TEST_F(SqliteCopyTest, EverySchemaThatThereWasBecomesThisOneAndLosesNothing) {
    for (const MigrationScript& migration : kMigrations) {
        if (migration.version == newest_schema()) break;
        make_old(migration.version);
        open();
        ASSERT_TRUE(store_) << "from " << migration.version;
        EXPECT_EQ(check_file(path_)->schema, newest_schema());
        EXPECT_EQ(store_->epoch(), 7);
        EXPECT_EQ(store_->tenant("t")->name, "acme");
        EXPECT_EQ(store_->token({}, "k")->uses_left, 1);
        const auto node = store_->node({}, "a");
        ASSERT_TRUE(node) << node.error().message;
        EXPECT_EQ(node->name, "alpha");
        EXPECT_EQ(node->memberships.size(), 1u);
        EXPECT_EQ(*store_->upkeep().check(), std::vector<std::string>{});
        ASSERT_TRUE(store_->update_tenant("t", {.name = "later"}));
    }
}

TEST_F(SqliteCopyTest, ATryLeavesNothingBehind) {
    const size_t before = files();
    const auto tried = try_migration(path_, clock_);
    ASSERT_TRUE(tried) << tried.error().message;
    EXPECT_EQ(tried->from, tried->to);
    EXPECT_EQ(check_database(path_, clock_).value_or(std::vector<std::string>{"?"}).size(), 0u);
    EXPECT_EQ(files(), before);
}

TEST_F(SqliteCopyTest, ACheckSeesWhatIsInTheFileNow) {
    run_sql("UPDATE networks SET node_count = 9");
    const auto found = check_database(path_, clock_);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ(found->front(), "network " + network_.id + ": counts other nodes than it has");
}

}  // namespace
}  // namespace cvlan::store
