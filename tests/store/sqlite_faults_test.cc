// SPDX-License-Identifier: Apache-2.0
// A disk that is full, that fails, or that loses power under SQLite (F40, F41, F43).
#include <iterator>

#include "store/migrate.h"
#include "store/migration_scripts.h"
#include "store/sqlite.h"
#include "store/sqlite_copy.h"
#include "store/upkeep.h"
#include "tests/store/store_fixture.h"
#include "tests/support/faulty_disk.h"

namespace cvlan::store {
namespace {

using test::FaultyDisk;

struct OnFaultyDisk {
    FaultyDisk disk_;  // before the store that is on it
};

class SqliteFaultsTest : public OnFaultyDisk, public StoreTest {
protected:
    std::string acme_ = tenant("acme");
    int made_ = 0;

    Result<model::Network> write() {
        return try_network(acme_, fmt::format("n{}", ++made_), "", "auto");
    }
    static std::set<std::string> names_in(Store& store) {
        Filter filter;
        filter.page_size = 1000;
        const auto page = store.networks(filter);
        EXPECT_TRUE(page) << page.error().message;
        std::set<std::string> names;
        for (const model::Network& network : page->items) names.insert(network.name);
        return names;
    }
    // What a controller finds that starts on what the disk has.
    std::set<std::string> names_after_cut(const FaultyDisk::Image& image) {
        const std::string folder = place_.file("cut");
        FaultyDisk::write_to(folder, image);
        std::set<std::string> names;
        {
            const auto store = open_sqlite(folder + "/cvlan.db", clock_, Create::No);
            EXPECT_TRUE(store) << store.error().message;
            if (!store) return {};
            names = names_in(**store);
            EXPECT_EQ(*(*store)->upkeep().check(), std::vector<std::string>{});
        }
        EXPECT_TRUE(check_file(folder + "/cvlan.db"));
        std::filesystem::remove_all(folder);
        return names;
    }
};

// Each write in turn finds no room, and all after it, until there is some again.
TEST_F(SqliteFaultsTest, AFullDiskIsToldOfLeavesNothingByHalvesAndIsRecoveredFrom) {
    std::set<std::string> answered;
    int failures = 0;
    for (int nth = 1;; ++nth) {
        disk_.fail(FaultyDisk::Step::Write, nth, SQLITE_FULL);
        const auto made = write();
        const bool is_through = !disk_.has_failed();
        if (made) answered.insert(made->name);
        if (!is_through) {
            ++failures;
            EXPECT_FAILS(made, Code::Unavailable, "full");
            EXPECT_EQ(store_->tenant(acme_)->name, "acme");
            EXPECT_FAILS(write(), Code::Unavailable, "full");
            EXPECT_EQ(names_in(*store_), answered);
        }
        disk_.heal();
        const auto after = write();
        ASSERT_TRUE(after) << after.error().message;
        answered.insert(after->name);
        if (is_through) break;
    }
    EXPECT_GE(failures, 5);
    EXPECT_EQ(names_in(*store_), answered);
    EXPECT_EQ(*store_->upkeep().check(), std::vector<std::string>{});
    store_.reset();
    EXPECT_TRUE(check_file(place_.path()));
}

TEST_F(SqliteFaultsTest, AConnectionWhoseDiskFailedIsNotWrittenWithAgain) {
    for (const auto& [step, code] : {std::pair(FaultyDisk::Step::Sync, SQLITE_IOERR_FSYNC),
                                     std::pair(FaultyDisk::Step::Write, SQLITE_IOERR_WRITE),
                                     std::pair(FaultyDisk::Step::Write, SQLITE_FULL)}) {
        const int opened = disk_.opened("cvlan.db");
        disk_.fail(step, 1, code, 1);
        EXPECT_FAILS(write(), Code::Unavailable, "database: ");
        ASSERT_TRUE(disk_.has_failed());
        EXPECT_EQ(disk_.opened("cvlan.db"), opened);
        const auto after = write();
        ASSERT_TRUE(after) << after.error().message;
        EXPECT_EQ(disk_.opened("cvlan.db"), opened + 1);
        EXPECT_EQ(names_after_cut(disk_.image()), (std::set<std::string>{after->name}));
        ASSERT_TRUE(store_->delete_network({acme_, after->id}));
    }
}

TEST_F(SqliteFaultsTest, WhatAFailedSyncLeftInTheLogIsWrittenAnewBeforeAnythingFollowsIt) {
    disk_.fail(FaultyDisk::Step::Sync, 1, SQLITE_IOERR_FSYNC);
    EXPECT_FAILS(write(), Code::Unavailable, "I/O");
    // As a controller that is killed leaves it: the log is whole as far as the kernel knows.
    store_.reset();
    disk_.heal();
    open();
    const auto after = write();
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_TRUE(names_after_cut(disk_.image()).contains(after->name));
}

// Were the connection that failed the last on the file when it ends, the next one would take what
// it left in the log for committed.
TEST_F(SqliteFaultsTest, WhatCouldNotBeSyncedIsNotBuiltOnWhereTheDiskFailsTwice) {
    disk_.fail(FaultyDisk::Step::Sync, 1, SQLITE_IOERR_FSYNC, 2);
    EXPECT_FAILS(write(), Code::Unavailable, "I/O");
    auto after = write();
    if (!after) after = write();
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_EQ(names_after_cut(disk_.image()), (std::set<std::string>{after->name}));
}

TEST_F(SqliteFaultsTest, APowerCutAtAnyFlushLosesNoAcknowledgedWrite) {
    disk_.keeps_images = true;
    std::set<std::string> answered;
    bool was_moved = false;  // from the log into the file
    std::string first = disk_.image().at("cvlan.db");
    for (int i = 0; i < 150; ++i) {
        const std::set<std::string> before = answered;
        const auto made = write();
        ASSERT_TRUE(made);
        answered.insert(made->name);
        const auto images = disk_.images();
        ASSERT_FALSE(images.empty());
        was_moved = was_moved || images.back().at("cvlan.db") != first;
        if (images.size() == 1 && i % 10 != 0) continue;
        for (const FaultyDisk::Image& image : images) {
            const auto found = names_after_cut(image);
            EXPECT_TRUE(std::includes(found.begin(), found.end(), before.begin(), before.end()));
        }
        EXPECT_EQ(names_after_cut(disk_.image()), answered);
        (void)disk_.images();
    }
    EXPECT_TRUE(was_moved);
}

// F48: a file as the first program left it.
struct SqliteUpgradeTest : OnFaultyDisk, testing::Test {
    test::TempDir folder_;
    std::string path_ = folder_.file("cvlan.db");
    ManualClock clock_{from_unix_ms(1'700'000'000'000)};

    SqliteUpgradeTest() {
        auto db = SqliteDatabase::open(path_);
        EXPECT_TRUE(db);
        const std::string script = fmt::format(
            "PRAGMA application_id = {}; CREATE TABLE schema_version (version INTEGER NOT NULL) "
            "STRICT; INSERT INTO schema_version VALUES ({}); {}"
            "INSERT INTO meta (id, epoch) VALUES (1, 7);"
            "INSERT INTO tenants (id, name, created_at) VALUES ('t', 'acme', 0);",
            kApplicationId, kMigrations[0].version, kMigrations[0].sql);
        auto made = (*db)->run_script(script);
        EXPECT_TRUE(made) << made.error().message;
    }
    void expect_upgradable(const std::string& path) {
        const auto store = open_sqlite(path, clock_, Create::No);
        ASSERT_TRUE(store) << store.error().message;
        EXPECT_EQ((*store)->tenant("t")->name, "acme");
        EXPECT_EQ((*store)->epoch(), 7);
        EXPECT_EQ(*(*store)->upkeep().check(), std::vector<std::string>{});
    }
};

// Each write of an upgrade in turn finds no room: the next start goes on from the last migration
// that was whole.
TEST_F(SqliteUpgradeTest, AnUpgradeThatFindsNoRoomGoesOnAtTheNextStart) {
    int failures = 0;
    for (int nth = 1;; nth += 7) {
        disk_.fail(FaultyDisk::Step::Write, nth, SQLITE_FULL);
        const auto opened = open_sqlite(path_, clock_, Create::No);
        const bool is_through = !disk_.has_failed();
        disk_.heal();
        if (is_through) break;
        if (opened) continue;  // what failed was to come after the upgrade, and may
        ++failures;
        const auto left = check_file(path_);
        ASSERT_TRUE(left) << left.error().message;
        const bool is_whole = std::any_of(
            std::begin(kMigrations), std::end(kMigrations),
            [&](const MigrationScript& migration) { return migration.version == left->schema; });
        EXPECT_TRUE(is_whole) << left->schema;
    }
    EXPECT_GE(failures, 5);
    expect_upgradable(path_);
}

TEST_F(SqliteUpgradeTest, APowerCutAtAnyFlushOfAnUpgradeLosesNothing) {
    disk_.keeps_images = true;
    ASSERT_TRUE(open_sqlite(path_, clock_, Create::No));
    const auto images = disk_.images();
    disk_.keeps_images = false;
    std::set<int64_t> schemas;
    for (const FaultyDisk::Image& image : images) {
        const std::string cut = folder_.file("cut");
        FaultyDisk::write_to(cut, image);
        if (const auto left = check_file(cut + "/cvlan.db")) schemas.insert(left->schema);
        expect_upgradable(cut + "/cvlan.db");
        std::filesystem::remove_all(cut);
    }
    EXPECT_EQ(schemas.size(), std::size(kMigrations)) << "one transaction a migration";
}

}  // namespace
}  // namespace cvlan::store
