// SPDX-License-Identifier: Apache-2.0
// The program's commands on its database, as a shell runs them, while a controller runs and not.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "daemons/controller/setup.h"
#include "store/sql_store.h"
#include "store/sqlite.h"
#include "store/sqlite_copy.h"
#include "tests/support/postgres_server.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace cvlan::controller {
namespace {

struct MaintenanceTest : testing::Test {
    test::TempDir folder;
    SystemClock clock;
    ControllerConfig config;

    MaintenanceTest() {
        config.state_dir = folder.file("state");
        std::ofstream(folder.file("toml")) << fmt::format("state_dir = '{}'\nadmin_socket = '{}'\n",
                                                          config.state_dir, folder.file("socket"));
        EXPECT_TRUE(set_up(config, "127.0.0.1", clock));
    }
    // The exit code; what it said is in `said`.
    int run(std::vector<std::string> words) {
        words.insert(words.begin(), {"--config", folder.file("toml")});
        const UniqueFd out(
            open(folder.file("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        const int code =
            test::Process("cvlan-controller", std::move(words), out.get(), folder.file("err"))
                .wait();
        std::ifstream err(folder.file("err"));
        said.assign(std::istreambuf_iterator<char>(err), {});
        return code;
    }
    // As a controller that runs does.
    std::unique_ptr<store::Store> hold() {
        auto opened = store::open_sqlite(database_path(config), clock, store::Create::No);
        EXPECT_TRUE(opened) << opened.error().message;
        return std::move(*opened);
    }
    std::string said;
};

TEST_F(MaintenanceTest, BacksUpWhileAControllerRunsAndRestoresWhenNoneDoes) {
    const std::string file = folder.file("backup");
    const std::string id = new_uuid(1);
    int64_t epoch = 0;
    {
        const auto running = hold();
        epoch = running->epoch();
        ASSERT_TRUE(running->create_tenant({id, "acme", {}}));
        EXPECT_EQ(run({"backup", file}), 0) << said;
        EXPECT_EQ(run({"backup", file}), 1);
        EXPECT_NE(said.find("is there already"), std::string::npos) << said;
        ASSERT_TRUE(running->delete_tenant(id));
        EXPECT_EQ(run({"restore", file}), 1);
        EXPECT_NE(said.find("stop the controller first"), std::string::npos) << said;
        EXPECT_EQ(run({"db", "check"}), 0) << said;
        EXPECT_EQ(run({"migrate", "--dry-run"}), 0) << said;
    }
    EXPECT_EQ(run({"restore", folder.file("toml")}), 1);
    EXPECT_EQ(run({"restore", file}), 0) << said;
    const auto again = hold();
    EXPECT_TRUE(again->tenant(id));
    EXPECT_GT(again->epoch(), epoch);
}

// Root restores for the controller's user; a copy that root alone may read is where no other gets
// at it before it is that user's own.
TEST_F(MaintenanceTest, RootRestoresForTheOwnerOfTheFolder) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    const std::string file = folder.file("backup");
    EXPECT_EQ(run({"backup", file}), 0) << said;
    constexpr uid_t kNobody = 65534;
    ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(config.state_dir))
        ASSERT_EQ(chown(entry.path().c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(chown(config.state_dir.c_str(), kNobody, kNobody), 0);
    EXPECT_EQ(run({"restore", file}), 0) << said;
    EXPECT_NE(said.find("is restored"), std::string::npos) << said;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(config.state_dir)) {
        struct stat found {};
        ASSERT_EQ(lstat(entry.path().c_str(), &found), 0);
        EXPECT_EQ(found.st_uid, kNobody) << entry.path();
    }
    const auto left = [](const std::filesystem::path& in, const std::string& name) {
        for (const auto& entry : std::filesystem::directory_iterator(in))
            if (entry.path().filename().string().find(name) != std::string::npos) return true;
        return false;
    };
    EXPECT_FALSE(left(config.state_dir, ".backup"));
}

TEST_F(MaintenanceTest, ANewEpochNeedsTheDatabaseForItself) {
    int64_t epoch = 0;
    {
        const auto running = hold();
        epoch = running->epoch();
        EXPECT_EQ(run({"new-epoch"}), 1);
        EXPECT_NE(said.find("in use"), std::string::npos) << said;
    }
    EXPECT_EQ(run({"new-epoch"}), 0) << said;
    EXPECT_GT(hold()->epoch(), epoch);
}

TEST_F(MaintenanceTest, ACheckThatFindsAFaultNamesItAndFails) {
    (void)hold()->create_tenant({new_uuid(1), "acme", {}});
    EXPECT_EQ(run({"db", "check"}), 0) << said;
    ASSERT_TRUE((*store::SqliteDatabase::open(database_path(config)))
                    ->run_script("UPDATE audit SET actor = 'somebody'"));
    EXPECT_EQ(run({"db", "check"}), 1);
    std::ifstream out(folder.file("out"));
    const std::string found((std::istreambuf_iterator<char>(out)), {});
    EXPECT_NE(found.find("entry 1 was changed"), std::string::npos) << found;
    EXPECT_EQ(run({"nonsense"}), 2);
}

TEST_F(MaintenanceTest, OfAServersDatabaseItNamesTheProgramsThatCopyIt) {
    auto& server = test::PostgresServer::instance();
    config.state_dir = folder.file("other");
    config.database.url = server.url(server.new_schema());
    std::ofstream(folder.file("toml"))
        << fmt::format("state_dir = '{}'\nadmin_socket = '{}'\n[database]\nurl = '{}'\n",
                       config.state_dir, folder.file("socket"), config.database.url);
    ASSERT_TRUE(set_up(config, "127.0.0.1", clock));
    const std::pair<std::vector<std::string>, std::string> kRefused[] = {
        {{"backup", folder.file("backup")}, "pg_dump"},
        {{"restore", folder.file("backup")}, "pg_restore"},
        {{"migrate"}, "as it starts"},
    };
    for (const auto& [words, hint] : kRefused) {
        EXPECT_EQ(run(words), 1);
        EXPECT_NE(said.find(hint), std::string::npos) << said;
    }
    const auto running = open_store(config, clock, store::Create::No);
    ASSERT_TRUE(running) << running.error().message;
    EXPECT_EQ(run({"db", "check"}), 0) << said;
    EXPECT_EQ(run({"new-epoch"}), 0) << said;
    EXPECT_GT((*open_store(config, clock, store::Create::No))->epoch(), (*running)->epoch());
}

// What a restart does not mend is no reason for another.
TEST_F(MaintenanceTest, ADatabaseThatIsNotForThisProgramEndsItForGood) {
    ASSERT_TRUE((*store::SqliteDatabase::open(database_path(config)))
                    ->run_script("UPDATE schema_version SET version = 999"));
    EXPECT_EQ(run({}), 78);
    EXPECT_NE(said.find("install the newer one"), std::string::npos) << said;
}

}  // namespace
}  // namespace cvlan::controller
