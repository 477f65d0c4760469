// SPDX-License-Identifier: Apache-2.0
#include "enrolee/identity.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/enrolee/frozen.h"
#include "tests/enrolee/issuer.h"

namespace cvlan::enrolee {
namespace {

using namespace testing;

void spoil(const std::string& path, std::string_view content) {
    std::ofstream(path, std::ios::trunc | std::ios::binary) << content;
}

struct StateDirTest : ::testing::Test {
    cvlan::test::TempDir temp;
    StateDir dir = *StateDir::open(temp.file("state"));
    std::string path = dir.folder_of(kTenant) + "/identity.json";

    Identity save_one() {
        auto identity = new_identity(kTenant);
        EXPECT_TRUE(dir.save_identity(*identity));
        return std::move(*identity);
    }
};

TEST_F(StateDirTest, NobodyElseCanReadIt) {
    save_one();
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ASSERT_EQ(stat(temp.file("state").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(StateDirTest, EveryDamageGivesThePreviousGenerationAndKeepsTheBadFile) {
    Identity identity = save_one();
    std::string good;
    {
        std::ifstream file(path);
        good.assign(std::istreambuf_iterator<char>(file), {});
    }
    std::string flipped = good;
    flipped[flipped.size() / 2] ^= 1;
    for (const std::string& damage :
         {std::string(), std::string(good.size(), '\0'), good.substr(0, good.size() / 2),
          "wrong-magic" + good, flipped}) {
        ASSERT_TRUE(dir.save_identity(identity));
        ASSERT_TRUE(dir.save_identity(identity));
        spoil(path, damage);
        auto loaded = dir.load_identities();
        ASSERT_TRUE(loaded) << loaded.error().message;
        ASSERT_EQ(loaded->size(), 1u);
        EXPECT_TRUE((*loaded)[0].used_previous);
        EXPECT_EQ((*loaded)[0].kept.tls_key, identity.kept.tls_key);
        EXPECT_TRUE(std::filesystem::exists(path + ".bad"));
    }
}

TEST_F(StateDirTest, BothGenerationsDamagedIsARefusalAndNothingIsMadeAnew) {
    const Identity identity = save_one();
    ASSERT_TRUE(dir.save_identity(identity));
    spoil(path, "");
    spoil(path + ".prev", "");
    auto loaded = dir.load_identities();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::Malformed);
    EXPECT_NE(loaded.error().message.find(kTenant), std::string::npos) << loaded.error().message;
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(StateDirTest, AnOnlyGenerationDamagedIsARefusalToo) {
    save_one();
    spoil(path, "");
    EXPECT_FALSE(dir.load_identities());
}

TEST_F(StateDirTest, AFormatOfTheFutureIsRefusedAndUntouched) {
    save_one();
    spoil(path, "cvlan-state 99 00\n{}");
    auto loaded = dir.load_identities();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::Unsupported);
    EXPECT_FALSE(std::filesystem::exists(path + ".bad"));
}

TEST_F(StateDirTest, AnEmptyFolderOfACrashIsPassedOver) {
    std::filesystem::create_directory(dir.folder_of(kTenant));
    auto loaded = dir.load_identities();
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(loaded->empty());
}

TEST_F(StateDirTest, ACopiedIdentityOfAnotherTenantIsRefused) {
    save_one();
    std::filesystem::rename(dir.folder_of(kTenant), dir.folder_of(kOther));
    EXPECT_FALSE(dir.load_identities());
}

TEST_F(StateDirTest, ATenantIdThatIsAPathIsRefused) {
    EXPECT_FALSE(new_identity("../../etc"));
    EXPECT_FALSE(dir.remove_identity(".."));
    EXPECT_EQ(dir.load_identity("../../etc").error().code, Code::Invalid);
    EXPECT_EQ(dir.load_identity(kTenant).error().code, Code::NotFound);
}

TEST_F(StateDirTest, AFolderThatOthersCanOpenIsRefused) {
    for (const mode_t mode : {0777, 0750, 0701}) {
        ASSERT_EQ(chmod(temp.file("state").c_str(), mode), 0);
        auto opened = StateDir::open(temp.file("state"));
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, Code::Denied);
        EXPECT_NE(opened.error().message.find(fmt::format("(mode {:o})", mode)), std::string::npos)
            << opened.error().message;
    }
}

TEST_F(StateDirTest, AnIdentityThatOthersCanReadIsRefusedByNameAndMode) {
    save_one();
    ASSERT_EQ(chmod(path.c_str(), 0644), 0);
    auto loaded = dir.load_identities();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::Denied);
    EXPECT_NE(loaded.error().message.find(path + ": others can read it (mode 644)"),
              std::string::npos)
        << loaded.error().message;
}

TEST_F(StateDirTest, ASecondOnTheSameFolderIsRefusedUntilTheFirstHasEnded) {
    {
        const StateDir moved = std::move(dir);
        auto second = StateDir::open(temp.file("state"));
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Code::Conflict);
        EXPECT_EQ(second.error().message,
                  fmt::format("another {} is using {}", program_invocation_short_name,
                              temp.file("state")));
    }
    EXPECT_TRUE(StateDir::open(temp.file("state")));
}

TEST_F(StateDirTest, ALinkInThePlaceOfTheFolderIsRefused) {
    std::filesystem::create_directory_symlink(temp.file("state"), temp.file("link"));
    EXPECT_FALSE(StateDir::open(temp.file("link")));
}

TEST_F(StateDirTest, RemovesAnIdentityWhole) {
    save_one();
    ASSERT_TRUE(dir.remove_identity(kTenant));
    EXPECT_FALSE(std::filesystem::exists(dir.folder_of(kTenant)));
}

TEST_F(StateDirTest, ARemovalThatFailsSaysSoAndCanBeAskedForAgain) {
    save_one();
    {
        const Frozen frozen(temp.file("state"));
        EXPECT_FALSE(dir.remove_identity(kTenant));
    }
    EXPECT_EQ(dir.load_identities()->size(), 1u);
    EXPECT_TRUE(dir.remove_identity(kTenant));
    EXPECT_TRUE(dir.remove_identity(kTenant));
}

TEST_F(StateDirTest, WhatACrashLeftOfARemovalIsNoIdentityAndGoesAtTheNextStart) {
    save_one();
    const std::string left = temp.file("state/.gone-" + kTenant);
    std::filesystem::rename(dir.folder_of(kTenant), left);
    EXPECT_TRUE(dir.load_identities()->empty());
    { const StateDir ended = std::move(dir); }
    dir = *StateDir::open(temp.file("state"));
    ASSERT_TRUE(dir.finish_removals());
    EXPECT_FALSE(std::filesystem::exists(left));
}

}  // namespace
}  // namespace cvlan::enrolee
