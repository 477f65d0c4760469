// SPDX-License-Identifier: Apache-2.0
// The unix socket: who is there, who may, and what lay at its path before.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/http/server_fixture.h"
#include "tests/support/temp_dir.h"

namespace cvlan::http::test {
namespace {

using cvlan::test::TempDir;

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST(AUnixSocket, TellsWhoIsThere) {
    const TempDir dir;
    TestServer server(UnixSocket{dir.file("s")}, {});
    RawClient client(dir.file("s"));
    client.send(kGet);
    EXPECT_EQ(status_of(client.message()), 200);
    const auto seen = server.seen();
    ASSERT_EQ(seen.size(), 1u);
    ASSERT_TRUE(seen[0].local);
    EXPECT_EQ(seen[0].local->uid, getuid());
    EXPECT_EQ(seen[0].local->gid, getgid());
    EXPECT_EQ(seen[0].local->pid, getpid());
}

TEST(AUnixSocket, HasItsModeAndGroup) {
    const TempDir dir;
    const TestServer server(UnixSocket{dir.file("s"), 0620, getgid()}, {});
    struct stat found {};
    ASSERT_EQ(stat(dir.file("s").c_str(), &found), 0);
    EXPECT_TRUE(S_ISSOCK(found.st_mode));
    EXPECT_EQ(found.st_mode & 0777, 0620u);
    EXPECT_EQ(found.st_gid, getgid());
}

TEST(AUnixSocket, GoesWithItsServer) {
    const TempDir dir;
    TestServer server(UnixSocket{dir.file("s")}, {});
    EXPECT_TRUE(std::filesystem::exists(dir.file("s")));
    server.stop();
    EXPECT_FALSE(std::filesystem::exists(dir.file("s")));
    EXPECT_FALSE(std::filesystem::exists(dir.file("s~")));
}

TEST(AUnixSocket, ReplacesWhatADeadServerLeft) {
    const TempDir dir;
    {
        UniqueFd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = dir.file("s");
        std::memcpy(address.sun_path, path.data(), path.size());
        ASSERT_EQ(bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    ASSERT_TRUE(std::filesystem::exists(dir.file("s")));
    TestServer server(UnixSocket{dir.file("s")}, {});
    ASSERT_FALSE(server.error());
    RawClient client(dir.file("s"));
    client.send(kGet);
    EXPECT_EQ(status_of(client.message()), 200);
}

TEST(AUnixSocket, LeavesALivingServerAlone) {
    const TempDir dir;
    TestServer first(UnixSocket{dir.file("s")}, {});
    const TestServer second(UnixSocket{dir.file("s")}, {});
    ASSERT_TRUE(second.error());
    EXPECT_EQ(second.error()->code, Code::Exists);
    RawClient client(dir.file("s"));
    client.send(kGet);
    EXPECT_EQ(status_of(client.message()), 200);
}

TEST(AUnixSocket, LeavesAFileAlone) {
    const TempDir dir;
    std::ofstream(dir.file("s")) << "precious";
    const TestServer server(UnixSocket{dir.file("s")}, {});
    ASSERT_TRUE(server.error());
    EXPECT_EQ(server.error()->code, Code::Exists);
    std::string content;
    std::ifstream(dir.file("s")) >> content;
    EXPECT_EQ(content, "precious");
}

TEST(AUnixSocket, NeedsAPathThatFits) {
    const TempDir dir;
    const TestServer tooLong(UnixSocket{dir.file(std::string(120, 's'))}, {});
    ASSERT_TRUE(tooLong.error());
    EXPECT_EQ(tooLong.error()->code, Code::Invalid);
    const TestServer nowhere(UnixSocket{dir.file("no/s")}, {});
    ASSERT_TRUE(nowhere.error());
    EXPECT_EQ(nowhere.error()->sys_errno, ENOENT);
}

}  // namespace
}  // namespace cvlan::http::test
