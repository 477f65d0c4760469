// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "base/config.h"

namespace {
std::vector<std::string> synced;  // what fsync() was called for
}

// In the place of libc's, for the library under test.
extern "C" int fsync(int fd) {
    char path[4096] = {};
    if (readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path - 1) > 0)
        synced.emplace_back(path);
    return static_cast<int>(syscall(SYS_fsync, fd));
}

namespace cvlan {
namespace {

struct FileTest : testing::Test {
    std::string folder = [] {
        std::string pattern = testing::TempDir() + "cvlan-XXXXXX";
        return std::string(mkdtemp(pattern.data()));
    }();
    std::string path = folder + "/state";

    ~FileTest() override { std::filesystem::remove_all(folder); }
    void overwrite(const std::string& at, std::string_view content) {
        std::ofstream(at, std::ios::trunc | std::ios::binary) << content;
    }
    std::string content(const std::string& at) { return read_file(at, 1 << 20).value_or(""); }
};

TEST_F(FileTest, AStateFileComesBackAsItWas) {
    ASSERT_TRUE(save_state(path, 1, "one"));
    ASSERT_TRUE(save_state(path, 1, "two"));
    EXPECT_EQ(load_state(path, 1)->content, "two");
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

// F44: 0 bytes, NULs, cut, wrong magic, one bit.
TEST_F(FileTest, ADamagedStateFileGivesWayToThePreviousGenerationAndIsKept) {
    ASSERT_TRUE(save_state(path, 1, "one"));
    ASSERT_TRUE(save_state(path, 1, "two"));
    const std::string good = content(path);
    std::string flipped = good;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    for (const std::string& bad : {std::string(), std::string(64, '\0'),
                                   good.substr(0, good.size() - 1), "magic" + good, flipped}) {
        overwrite(path, bad);
        const auto loaded = load_state(path, 1);
        ASSERT_TRUE(loaded) << loaded.error().message;
        EXPECT_EQ(loaded->content, "one");
        EXPECT_TRUE(loaded->used_previous);
        EXPECT_EQ(content(path + ".bad"), bad);
    }
}

TEST_F(FileTest, ADamagedFileNeverPushesOutTheGoodPreviousOne) {
    ASSERT_TRUE(save_state(path, 1, "one"));
    ASSERT_TRUE(save_state(path, 1, "two"));
    overwrite(path, "");
    ASSERT_TRUE(save_state(path, 1, "three"));
    overwrite(path, "");
    EXPECT_EQ(load_state(path, 1)->content, "one");
}

TEST_F(FileTest, BothGenerationsBadIsRefusedAndNothingIsDeleted) {
    ASSERT_TRUE(save_state(path, 1, "one"));
    ASSERT_TRUE(save_state(path, 1, "two"));
    overwrite(path, "x");
    overwrite(path + ".prev", "y");
    EXPECT_EQ(load_state(path, 1).error().code, Code::Malformed);
    EXPECT_EQ(content(path), "x");
}

TEST_F(FileTest, ANewerFormatIsRefusedUntouched) {
    ASSERT_TRUE(save_state(path, 2, "one"));
    const std::string before = content(path);
    EXPECT_EQ(load_state(path, 1).error().code, Code::Unsupported);
    EXPECT_EQ(content(path), before);
}

TEST_F(FileTest, NoFileIsNotFound) { EXPECT_EQ(load_state(path, 1).error().code, Code::NotFound); }

TEST_F(FileTest, APlantedLinkIsNotFollowed) {
    overwrite(folder + "/victim", "precious");
    ASSERT_EQ(symlink((folder + "/victim").c_str(), (path + ".tmp").c_str()), 0);
    ASSERT_TRUE(write_durable(path, "new", 0600));
    EXPECT_EQ(content(folder + "/victim"), "precious");
    EXPECT_EQ(content(path), "new");
}

TEST_F(FileTest, ASecretThatOthersCanReadIsRefused) {
    overwrite(path, "token");
    chmod(path.c_str(), 0644);
    EXPECT_EQ(read_secret_file(path, 100).error().code, Code::Denied);
    chmod(path.c_str(), 0600);
    EXPECT_EQ(*read_secret_file(path, 100), "token");
}

TEST_F(FileTest, ASecretStateThatOthersCanReadIsRefusedAndNothingTakesItsPlace) {
    ASSERT_TRUE(save_state(path, 1, "one"));
    ASSERT_TRUE(save_state(path, 1, "two"));
    chmod(path.c_str(), 0640);
    const auto refused = load_secret_state(path, 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Denied);
    EXPECT_NE(refused.error().message.find(path + ": others can read it (mode 640)"),
              std::string::npos)
        << refused.error().message;
    EXPECT_EQ(load_state(path, 1)->content, "two");
    chmod(path.c_str(), 0600);
    EXPECT_EQ(load_secret_state(path, 1)->content, "two");

    overwrite(path, "damaged");
    chmod((path + ".prev").c_str(), 0604);
    EXPECT_EQ(load_secret_state(path, 1).error().code, Code::Denied);
    EXPECT_EQ(content(path), "damaged");
}

TEST_F(FileTest, FoldersFifosAndGiantsAreRefused) {
    EXPECT_EQ(read_file(folder, 100).error().code, Code::Invalid);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(read_file(path, 100).error().code, Code::Invalid);
    overwrite(folder + "/big", std::string(101, 'x'));
    EXPECT_EQ(read_file(folder + "/big", 100).error().code, Code::TooLarge);
}

TEST_F(FileTest, FoldersAreMadeWithTheirParents) {
    ASSERT_TRUE(make_directories(folder + "/a/b", 0700));
    ASSERT_TRUE(make_directories(folder + "/a/b", 0700));
    overwrite(path, "");
    EXPECT_FALSE(make_directories(path + "/c", 0700));
}

TEST_F(FileTest, AFolderThatWasMadeIsOnTheDiskWhenItIsUsed) {
    synced.clear();
    ASSERT_TRUE(make_directories(folder + "/a/b", 0700));
    const std::string real = std::filesystem::canonical(folder).string();
    EXPECT_EQ(synced, (std::vector<std::string>{real, real + "/a"}));
    ASSERT_TRUE(make_directories(folder + "/a/b", 0700));
    EXPECT_EQ(synced.size(), 2u);
}

TEST(ConfigTest, KnownKeysAreReadAndUnknownOnesNamedWithTheirPlace) {
    auto config =
        *Config::parse("state_dir = '/x'\nstat_dir = 1\n[listen]\napi = 5\napu = ''\n", "c.toml");
    EXPECT_EQ(config.text("state_dir"), "/x");
    EXPECT_EQ(config.text("listen.api"), std::nullopt);
    const auto verdict = config.finish();
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().message,
              "c.toml:4:7: listen.api must be a string\n"
              "c.toml:5:1: unknown key 'listen.apu'\n"
              "c.toml:2:1: unknown key 'stat_dir'");
}

TEST(ConfigTest, ASyntaxErrorAndADoubleKeyNameLineAndColumn) {
    EXPECT_EQ(Config::parse("a = \n", "c").error().message.substr(0, 4), "c:1:");
    EXPECT_EQ(Config::parse("a = 1\na = 2\n", "c").error().message.substr(0, 4), "c:2:");
}

// toml++ asserts on these, found by the fuzzer.
TEST(ConfigTest, AHeaderThatBeginsWithAWrongCharacterIsAnErrorAndNoCrash) {
    for (const char* bad : {"[=]\n", "[\va]\n", "[[$x]]\n", "[a.=]\n", "a.$ = 1\n", "= 1\n"})
        EXPECT_EQ(Config::parse(bad, "c").error().code, Code::Invalid) << bad;
    EXPECT_EQ(Config::parse("a = 1\nb = '\xCE\x9C'\n", "c").error().message,
              "c:2:6: the byte 0xce is not printable ASCII");
}

TEST(ConfigTest, NumbersHaveARangeAndListsATypeOfElement) {
    auto config = *Config::parse("port = 70000\non = 'yes'\nlist = ['a', 1]\nfine = ['a']\n", "c");
    EXPECT_FALSE(config.integer("port", 1, 65535));
    EXPECT_FALSE(config.boolean("on"));
    EXPECT_FALSE(config.texts("list"));
    EXPECT_EQ(config.texts("fine")->size(), 1u);
    config.reject("fine", "has a bad entry");
    EXPECT_NE(config.finish().error().message.find("c:4:8: fine has a bad entry"),
              std::string::npos);
}

TEST(ConfigTest, AQuotedKeyWithADotIsNoKeyOfASection) {
    auto config = *Config::parse("\"listen.api\" = 'x'\n[a]\n'b.c' = 1\n", "c");
    EXPECT_EQ(config.text("listen.api"), std::nullopt);
    config.text("a.b.c");
    EXPECT_EQ(config.finish().error().message,
              "c:3:1: unknown key 'a.\"b.c\"'\nc:1:1: unknown key '\"listen.api\"'");
}

TEST_F(FileTest, AConfigThatIsALinkOrAGiantIsRefused) {
    overwrite(path, "a = 1\n");
    chmod(path.c_str(), 0644);
    EXPECT_TRUE(Config::load(path));
    ASSERT_EQ(symlink(path.c_str(), (folder + "/link").c_str()), 0);
    const auto link = Config::load(folder + "/link");
    ASSERT_FALSE(link);
    EXPECT_EQ(link.error().code, Code::Denied);
    EXPECT_EQ(link.error().message, "configuration: open " + folder + "/link: a link is refused");
    std::filesystem::resize_file(path, 100u << 20);
    const auto giant = Config::load(path);
    ASSERT_FALSE(giant);
    EXPECT_EQ(giant.error().code, Code::TooLarge);
}

TEST_F(FileTest, AConfigThatOthersCanWriteIsRefused) {
    overwrite(path, "a = 1\n");
    chmod(path.c_str(), 0666);
    EXPECT_EQ(Config::load(path).error().code, Code::Denied);
    EXPECT_EQ(Config::load(folder + "/absent").error().code, Code::NotFound);
    EXPECT_FALSE(Config::load(folder));
}

TEST_F(FileTest, CreateDurableMakesANewFileAndReplacesNone) {
    ASSERT_TRUE(create_durable(path, "one", 0600));
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    const auto again = create_durable(path, "two", 0600);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::Exists);
    EXPECT_EQ(*read_file(path, 10), "one");
    EXPECT_NE(access((path + ".tmp").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace cvlan
