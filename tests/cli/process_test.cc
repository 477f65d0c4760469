// SPDX-License-Identifier: Apache-2.0
// The program itself, as a shell runs it: its streams, signals and exit codes (F101).

#include <fcntl.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <csignal>
#include <fstream>

#include "base/unique_fd.h"
#include "cli/cli.h"
#include "tests/support/fake_api.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace cvlan::cli {
namespace {

struct Pipe {
    Pipe() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
        out = UniqueFd(ends[0]);
        in = UniqueFd(ends[1]);
    }
    std::string read_all() {
        std::string text;
        char block[65536];
        for (ssize_t got; (got = read(out.get(), block, sizeof block)) > 0;)
            text.append(block, static_cast<size_t>(got));
        return text;
    }
    UniqueFd out, in;
};

struct TheProgram : testing::Test {
    test::TempDir folder;
    test::FakeApi api;
    std::string err_path = folder.file("err");

    std::string err() const {
        std::ifstream file(err_path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    test::Process run_with(std::vector<std::string> words, UniqueFd& out) {
        words.insert(words.begin(), {"--socket", api.path()});
        test::Process process("cvlanctl", std::move(words), out.get(), err_path);
        out.reset();
        return process;
    }
};

TEST_F(TheProgram, PingEndsWhenItsReaderHasSeenEnough) {
    api.reply(
        "POST", "/local/v1/ping", 200,
        R"({"answered":true,"peer":"n2","address":"10.100.0.2","endpoint":null,"path":"RELAY_TLS"})");
    api.start();
    Pipe pipe;
    const test::Process ping = run_with({"ping", "n2", "-c", "1000000"}, pipe.in);
    char first = 0;
    EXPECT_EQ(read(pipe.out.get(), &first, 1), 1);
    pipe.out.reset();
    EXPECT_EQ(ping.wait(), kOk);
    EXPECT_EQ(err(), "");
    EXPECT_LE(api.seen().size(), 3u);
}

TEST_F(TheProgram, AFullStandardOutputIsOneSentenceAndAFailure) {
    UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(full);
    EXPECT_EQ(run_with({"version"}, full).wait(), kFailed);
    EXPECT_EQ(err(), "cvlanctl: standard output: No space left on device\n");
}

TEST_F(TheProgram, PingEndsOnAFullStandardOutput) {
    api.reply(
        "POST", "/local/v1/ping", 200,
        R"({"answered":true,"peer":"n2","address":"10.100.0.2","endpoint":null,"path":"RELAY_TLS"})");
    api.start();
    UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(run_with({"ping", "n2", "-c", "1000000"}, full).wait(), kFailed);
    EXPECT_EQ(api.seen().size(), 1u);
    EXPECT_EQ(err(), "cvlanctl: standard output: No space left on device\n");
}

std::string status_of(int peers) {
    std::string json =
        R"({"self":{"name":"n1","id":"i1","addresses":[],"state":"CONNECTED","mapRevision":"1",)"
        R"("mapAge":1,"mapExpiresAt":"2026-11-27T10:00:00.000Z","health":[],"networks":[]},"peers":[)";
    for (int i = 0; i < peers; ++i)
        json += (i ? "," : "") +
                fmt::format(R"({{"name":"n{}","id":"i","addresses":["10.100.0.2"],"endpoint":null,)"
                            R"("path":"NONE","lastHandshake":null,"rxBytes":"0","txBytes":"0"}})",
                            i);
    return json + "]}";
}

TEST_F(TheProgram, HugeOutputArrivesWholeAndMayBeLeftInTheMiddle) {
    const std::string status = status_of(2000);
    api.reply("GET", "/local/v1/status", 200, status);
    api.start();
    {
        Pipe pipe;
        const test::Process whole = run_with({"status", "-o", "json"}, pipe.in);
        EXPECT_TRUE(pipe.read_all() == status + "\n");
        EXPECT_EQ(whole.wait(), kOk) << err();
    }
    Pipe pipe;
    const test::Process left = run_with({"status"}, pipe.in);
    char first = 0;
    EXPECT_EQ(read(pipe.out.get(), &first, 1), 1);
    pipe.out.reset();
    EXPECT_EQ(left.wait(), kOk);
    EXPECT_EQ(err(), "");
}

TEST_F(TheProgram, AnInterruptEndsItAtOnceAndLeavesTheRestToTheAgent) {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_asked = false, is_over = false;
    api.on("POST", "/local/v1/up", [&](const httplib::Request&, httplib::Response& response) {
        std::unique_lock lock(mutex);
        is_asked = true;
        changed.notify_all();
        changed.wait(lock, [&] { return is_over; });
        response.status = 500;
    });
    api.start();
    Pipe pipe;
    const test::Process up = run_with({"up"}, pipe.in);
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return is_asked; });
    }
    up.interrupt();
    EXPECT_EQ(up.wait(), 128 + SIGINT);
    EXPECT_EQ(pipe.read_all(), "");
    const std::lock_guard lock(mutex);
    is_over = true;
    changed.notify_all();
}

}  // namespace
}  // namespace cvlan::cli
