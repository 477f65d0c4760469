// SPDX-License-Identifier: Apache-2.0
// cvlan-sim as a shell runs it, against a real controller process.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/unique_fd.h"
#include "http/client.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"
#include "tests/support/sources.h"
#include "tests/support/temp_dir.h"

namespace cvlan::sim {
namespace {

using nlohmann::json;

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// Where a program says READY=1 (sd_notify(3)).
class Readiness {
public:
    explicit Readiness(const std::string& path)
        : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        const timeval limit{60, 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    ~Readiness() { unsetenv("NOTIFY_SOCKET"); }
    bool wait() const {
        char text[256] = {};
        return recv(fd_.get(), text, sizeof text - 1, 0) > 0 && std::strstr(text, "READY=1");
    }

private:
    UniqueFd fd_;
};

struct Running {
    test::Process process;
    std::string out, err;
};

struct TheSimulation : testing::Test {
    test::TempDir folder;
    std::string config = folder.file("controller.toml");
    std::string admin_socket = folder.file("admin.sock");
    Readiness readiness{folder.file("notify")};
    std::optional<test::Process> controller;
    std::string tenant;
    int runs = 0;

    Running run(const std::string& program, std::vector<std::string> words) {
        const std::string out = folder.file(fmt::format("out{}", ++runs)), err = out + ".err";
        const UniqueFd file(open(out.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        return {test::Process(program, std::move(words), file.get(), err), out, err};
    }

    void SetUp() override {
        std::ofstream(config) << fmt::format(
            "state_dir = \"{}\"\nadmin_socket = \"{}\"\n[listen]\napi = \"127.0.0.1:{}\"\n",
            folder.file("state"), admin_socket, test::free_port());
        const auto setup =
            run("cvlan-controller", {"setup", "--config", config, "--server-name", "127.0.0.1"});
        ASSERT_EQ(setup.process.wait(), 0) << text_of(setup.err);
        controller = run("cvlan-controller", {"--config", config}).process;
        ASSERT_TRUE(readiness.wait());
        tenant = admin("POST", "/api/v1/tenants", {{"name", "acme"}})["id"];
    }
    void TearDown() override {
        if (!controller) return;
        controller->interrupt();
        EXPECT_EQ(controller->wait(), 0);
    }

    json admin(const std::string& method, const std::string& target, const json& body = {}) {
        EventLoop loop;
        http::ClientOptions options;
        options.unix_path = admin_socket;
        auto client = http::Client::open(loop, std::move(options));
        EXPECT_TRUE(client) << client.error().message;
        json answer;
        (*client)->request({method, target, {}, body.is_null() ? "" : body.dump()},
                           [&](Result<http::Response> got) {
                               EXPECT_TRUE(got) << got.error().message;
                               if (got) answer = json::parse(got->body, nullptr, false);
                               loop.stop();
                           });
        loop.run();
        return answer;
    }
    // A network, and a file with a token for it.
    std::string make_token(const std::string& name, int uses) {
        const json network = admin("POST", "/api/v1/networks",
                                   {{"tenantId", tenant}, {"name", name}, {"ipv6", "auto"}});
        const json token =
            admin("POST", "/api/v1/tokens",
                  {{"tenantId", tenant}, {"networkId", network["id"]}, {"uses", uses}});
        const std::string path = folder.file(name + ".token");
        std::ofstream(path) << token["token"].get<std::string>() << "\n";
        return path;
    }
    size_t node_count() {
        return admin("GET", "/api/v1/nodes?pageSize=1000&tenant=" + tenant)["nodes"].size();
    }
};

TEST_F(TheSimulation, TwentyNodesRoamBeforeAllOthersRenewAndRestart) {
    const std::string left = make_token("left", 20), right = make_token("right", 20);
    const auto twenty = run("cvlan-sim", {"--count", "20", "--token-file", left, "--token-file",
                                          right, "--drill", "--for", "60s"});
    // Beside it a second process, as several add up.
    const auto more = run("cvlan-sim", {"--first", "20", "--count", "4", "--token-file", left,
                                        "--token-file", right, "--drill", "--for", "60s"});
    ASSERT_EQ(twenty.process.wait(), 0) << text_of(twenty.out) << text_of(twenty.err);
    ASSERT_EQ(more.process.wait(), 0) << text_of(more.out) << text_of(more.err);
    json summary = json::parse(text_of(twenty.out));
    EXPECT_EQ(summary["drilled"], true);
    EXPECT_EQ(summary["enrol"]["n"], 20);
    EXPECT_EQ(summary["delta"]["n"], 2 * 10 * 9) << "each other of the network, each once";
    EXPECT_EQ(summary["renew"]["n"], 20);
    EXPECT_EQ(summary["back"]["n"], 40) << "after the renewal, and after the restart";
    EXPECT_EQ(summary["failures"], json::object());
    EXPECT_EQ(node_count(), 24u);
}

TEST_F(TheSimulation, ComesBackWithTheIdentitiesItKeptAndNoToken) {
    const std::string token = make_token("lan", 5), state = folder.file("nodes");
    const auto first = run("cvlan-sim", {"--count", "5", "--token-file", token, "--enrol-only",
                                         "--state", state, "--samples", folder.file("raw")});
    ASSERT_EQ(first.process.wait(), 0) << text_of(first.err);
    EXPECT_EQ(json::parse(text_of(folder.file("raw")))["enrol"].size(), 5u);
    const auto again =
        run("cvlan-sim", {"--count", "5", "--state", state, "--share-maps", "--drill"});
    ASSERT_EQ(again.process.wait(), 0) << text_of(again.out) << text_of(again.err);
    json summary = json::parse(text_of(again.out));
    EXPECT_EQ(summary["enrol"]["n"], 0);
    EXPECT_EQ(summary["most_sessions"], 5);
    EXPECT_EQ(node_count(), 5u);
}

TEST_F(TheSimulation, GoesOnWhereItWasInterrupted) {
    const std::string token = make_token("lan", 300), state = folder.file("nodes");
    const std::vector<std::string> words{"--count",      "300",     "--token-file", token,
                                         "--enrol-only", "--state", state};
    const auto first = run("cvlan-sim", words);
    for (int tries = 0; node_count() == 0 && tries < 1000; ++tries) continue;
    first.process.interrupt();
    const int ended = first.process.wait();
    const size_t kept = node_count();
    EXPECT_TRUE(kept == 300 ? ended == 0 : ended == 1) << kept << " " << ended;
    const auto again = run("cvlan-sim", words);
    ASSERT_EQ(again.process.wait(), 0) << text_of(again.out) << text_of(again.err);
    json summary = json::parse(text_of(again.out));
    EXPECT_EQ(summary["enrol"]["n"], 300 - kept);
    EXPECT_EQ(node_count(), 300u);
}

TEST_F(TheSimulation, SaysHowManyWereRefusedAndFails) {
    const auto five = run("cvlan-sim", {"--count", "5", "--token-file", make_token("lan", 3),
                                        "--knocks", "7", "--enrol-only"});
    EXPECT_EQ(five.process.wait(), 1);
    json summary = json::parse(text_of(five.out));
    EXPECT_EQ(summary["knock"]["n"], 7);
    EXPECT_EQ(summary["enrol"]["n"], 3);
    EXPECT_EQ(summary["refused"], 2);
    EXPECT_EQ(summary["failures"]["enrol: 410 TOKEN_GONE"], 2);
}

TEST_F(TheSimulation, PollsAtTheRateItIsAskedFor) {
    const auto polls = run("cvlan-sim", {"--count", "5", "--token-file", make_token("lan", 5),
                                         "--polls", "50", "--for", "1s"});
    ASSERT_EQ(polls.process.wait(), 0) << text_of(polls.err);
    json summary = json::parse(text_of(polls.out));
    const int made = summary["poll"]["n"].get<int>() + summary["polls_late"].get<int>();
    EXPECT_LE(made, 51);
    EXPECT_GT(summary["poll"]["n"], 0);
    EXPECT_EQ(summary["failures"], json::object());
}

struct ProvisionBulk : TheSimulation {
    Running provision(std::vector<std::string> more) {
        const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
        std::vector<std::string> words{"--socket",         admin_socket, "--sim",
                                       here / "cvlan-sim", "--out",      folder.file("bulk")};
        words.insert(words.end(), more.begin(), more.end());
        return run(test::source_file("scripts/provision-bulk"), std::move(words));
    }
};

TEST_F(ProvisionBulk, MakesAllOfItAndThenOnlyWhatIsMissing) {
    const std::vector<std::string> wanted{"--tenants", "2", "--networks", "2", "--nodes", "3"};
    for (int time = 0; time < 2; ++time) {
        const auto made = provision(wanted);
        EXPECT_EQ(made.process.wait(), 0) << text_of(made.err);
        EXPECT_EQ(text_of(made.out), "2 tenants, 4 networks, 12 nodes\n");
        EXPECT_NE(text_of(made.err).find("12/12"), std::string::npos) << text_of(made.err);
    }
    json networks = admin("GET", "/api/v1/networks?pageSize=1000");
    ASSERT_EQ(networks["networks"].size(), 4u);
    for (auto& network : networks["networks"]) {
        const std::string query =
            fmt::format("/api/v1/nodes?tenant={}&network={}",
                        network["tenantId"].get<std::string>(), network["id"].get<std::string>());
        EXPECT_EQ(admin("GET", query)["nodes"].size(), 3u);
    }
}

TEST_F(ProvisionBulk, NamesTheArgumentThatIsWrong) {
    const auto refused = [&](std::vector<std::string> words, const std::string& named, int code) {
        const auto tried = provision(std::move(words));
        EXPECT_EQ(tried.process.wait(), code);
        EXPECT_NE(text_of(tried.err).find(named), std::string::npos) << text_of(tried.err);
    };
    refused({"--tenants", "none"}, "--tenants: 'none' is no number from 1 to 10000", 2);
    refused({"--nodes", "60000", "--networks", "2"}, "--nodes: 1 x 2 x 60000 are more than", 2);
    refused({"--prefix", "A b"}, "--prefix: 'A b'", 2);
    refused({"--socket", folder.file("nobody")}, "--socket " + folder.file("nobody"), 1);
    refused({"--tenants", "3"}, "was begun with bulk: 1 x 1 x 0", 1);
    refused({"--sim", folder.file("nothing"), "--out", folder.file("other"), "--nodes", "1"},
            "--sim " + folder.file("nothing"), 1);
}

TEST(TheSimulationsArguments, AreNamedWhereTheyAreWrong) {
    const test::TempDir folder;
    const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
    const auto refused = [&](std::vector<std::string> words, const std::string& named, int code) {
        const std::string err = folder.file("err");
        EXPECT_EQ(test::Process("cvlan-sim", std::move(words), null.get(), err).wait(), code);
        EXPECT_NE(text_of(err).find(named), std::string::npos) << text_of(err);
    };
    refused({"--count", "0"}, "--count", 2);
    refused({"--count", "100001"}, "--count", 2);
    refused({"--polls", "-1"}, "--polls", 2);
    refused({"--for", "soon"}, "--for", 2);
    refused({"--server", "nowhere"}, "--server", 2);
    refused({}, "0 of 100 identities are there, and no token for the others", 1);
    refused({"--token-file", folder.file("none")}, folder.file("none"), 1);
}

}  // namespace
}  // namespace cvlan::sim
