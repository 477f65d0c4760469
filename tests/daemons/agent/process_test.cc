// SPDX-License-Identifier: Apache-2.0
// The program itself: what a configuration or a state folder that can not be used gets (F100), and
// a second agent on one folder. All of it ends before anything in the kernel is touched.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "daemons/agent/identity.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace cvlan::agent {
namespace {

constexpr int kConfiguration = 78;

struct TheAgent : testing::Test {
    test::TempDir folder;
    std::string config = folder.file("agent.toml");
    std::string state = folder.file("state");
    std::string good =
        fmt::format("state_dir = \"{}\"\nsocket = \"{}\"\n", state, folder.file("agent.sock"));
    std::string err;

    void write(const std::string& text) {
        std::ofstream(config, std::ios::trunc) << text;
        ASSERT_EQ(chmod(config.c_str(), 0644), 0);
    }
    int run(const std::string& flag) {
        const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
        const test::Process agent("cvlan-agent", {"--config", config, flag}, null.get(),
                                  folder.file("err"));
        const int status = agent.wait();
        std::ifstream file(folder.file("err"));
        err.assign(std::istreambuf_iterator<char>(file), {});
        return status;
    }
    // Refused when it is checked and when it is used, in the same words.
    void expect_refused(const std::string& words) {
        for (const char* flag : {"--check-config", "--bootstrap"}) {
            EXPECT_EQ(run(flag), kConfiguration) << words;
            EXPECT_NE(err.find(words), std::string::npos) << err;
        }
    }
};

TEST_F(TheAgent, TakesAGoodConfigurationAndMakesNothingToCheckIt) {
    write(good);
    EXPECT_EQ(run("--check-config"), 0) << err;
    EXPECT_FALSE(std::filesystem::exists(state));
}

TEST_F(TheAgent, AConfigurationThatIsNoPlainFileOfOursIs78) {
    expect_refused(config + ": No such file or directory");
    std::filesystem::create_directory(config);
    expect_refused(config + ": not a regular file");
    std::filesystem::remove(config);
    write(good);
    ASSERT_EQ(chmod(config.c_str(), 0777), 0);
    expect_refused(config + ": others can write it (mode 777)");
    ASSERT_EQ(chmod(config.c_str(), 0644), 0);
    std::filesystem::rename(config, folder.file("elsewhere"));
    std::filesystem::create_symlink(folder.file("elsewhere"), config);
    expect_refused(config + ": a link is refused");
}

TEST_F(TheAgent, AConfigurationOf100MiBIs78) {
    write(good);
    std::filesystem::resize_file(config, 100u << 20);
    expect_refused(config + ": larger than 1048576 bytes");
}

TEST_F(TheAgent, AWrongLineIs78AndNamed) {
    write(good + "socket = \"/x\"\n");
    expect_refused(config + ":3:");
    write(good + "\tinclude = \"agent.toml\"\n");
    expect_refused(config + ":3:2: unknown key 'include'");
    write(good + "\"listen.port\" = 1\n");
    expect_refused(config + ":3:1: unknown key");
}

TEST_F(TheAgent, AGroupThatThereIsNotIs78) {
    write(good + "socket_group = \"no-such-group-here\"\n");
    expect_refused("socket_group: no group 'no-such-group-here'");
}

TEST_F(TheAgent, AStateFolderThatCanNotBeUsedIs78) {
    write(good);
    std::filesystem::create_directory(state);
    ASSERT_EQ(chmod(state.c_str(), 0755), 0);
    expect_refused("state_dir " + state + ": others can open it (mode 755)");
    std::filesystem::remove(state);
    std::ofstream(state).put('x');
    expect_refused(state + ": is no folder");
    write(fmt::format("state_dir = \"{}/below/a/file\"\nsocket = \"/x\"\n", state));
    expect_refused(state + "/below/a/file: Not a directory");
}

TEST_F(TheAgent, BesideAnotherOnTheSameFolderEndsWithOneSentence) {
    write(good);
    const auto first = StateDir::open(state);
    ASSERT_TRUE(first);
    EXPECT_EQ(run("--bootstrap"), 1);
    EXPECT_EQ(err, "cvlan-agent: another cvlan-agent is using " + state + "\n");
}

}  // namespace
}  // namespace cvlan::agent
