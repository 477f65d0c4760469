// SPDX-License-Identifier: Apache-2.0
// F46: the file under a controller is not the one it was, or not one to work on.
#include "store/sqlite_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "store/sqlite_copy.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

struct SqliteFileTest : StoreTest {
    std::string acme = tenant("acme");

    void expect_refused() {
        EXPECT_FAILS(try_network(acme, "lost", "10.9.0.0/24"), Code::Unavailable,
                     "moved, removed or replaced under this process");
    }
};

TEST_F(SqliteFileTest, AFileThatLostItsNameIsNotWrittenAndTheOneThatIsBackIs) {
    const std::string aside = place_.file("aside");
    network(acme, "office", "10.0.0.0/24");
    EXPECT_EQ(store_->tenant(acme)->name, "acme");
    std::filesystem::rename(place_.path(), aside);
    expect_refused();
    EXPECT_FALSE(std::filesystem::exists(place_.path())) << "SQLite has made another";
    EXPECT_EQ(store_->tenant(acme)->name, "acme") << "what is open is read";
    std::filesystem::rename(aside, place_.path());
    EXPECT_TRUE(try_network(acme, "lab", "10.1.0.0/24"));
}

TEST_F(SqliteFileTest, AnotherFileInItsPlaceIsNeitherWrittenNorRead) {
    const std::string copy = place_.file("copy");
    ASSERT_TRUE(copy_database(place_.path(), copy));
    network(acme, "office", "10.0.0.0/24");
    std::filesystem::rename(copy, place_.path());
    expect_refused();
    // Those who come at once open further connections.
    std::vector<std::thread> readers;
    std::atomic<int> strangers = 0;
    for (int i = 0; i < 8; ++i)
        readers.emplace_back([&] {
            Filter filter;
            filter.tenant = acme;
            const auto read = store_->networks(filter);
            if (read && read->items.size() != 1) ++strangers;
        });
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(strangers, 0);
}

TEST_F(SqliteFileTest, AnotherUsersFileIsNotOpened) {
    const auto file = SqliteFile::of(place_.path());
    ASSERT_TRUE(file);
    EXPECT_TRUE(file->check_owner(::geteuid()));
    EXPECT_FAILS(file->check_owner(::geteuid() + 1), Code::Unsupported, "belongs to user");
    if (::geteuid() != 0) return;
    store_.reset();
    ASSERT_EQ(::chown(place_.path().c_str(), 12345, 12345), 0);
    EXPECT_FAILS(place_.open(clock_), Code::Unsupported, "belongs to user 12345");
    ASSERT_EQ(::chown(place_.path().c_str(), 0, 0), 0);
    EXPECT_TRUE(place_.open(clock_));
}

TEST_F(SqliteFileTest, AFileSystemOfANetworkIsRefusedByItsName) {
    const std::pair<int64_t, const char*> kOfNetworks[] = {
        {0x6969, "NFS"},        {0x517B, "SMB"},
        {0xFF534D42, "SMB"},    {0xFE534D42, "SMB"},
        {0x5346414F, "AFS"},    {0xC36400, "CephFS"},
        {0x0BD00BD0, "Lustre"}, {int32_t(0xFF534D42), "SMB"}};  // the last as 32 bits have it
    for (const auto& [type, name] : kOfNetworks)
        EXPECT_FAILS(check_file_system(type), Code::Unsupported, name);
    EXPECT_FAILS(check_file_system(0x6969), Code::Unsupported, "put it on a local disk");
    for (const int64_t local : {0xEF53, 0x01021994, 0x58465342})
        EXPECT_TRUE(check_file_system(local));
    EXPECT_TRUE(check_local(place_.folder()));
}

}  // namespace
}  // namespace cvlan::store
