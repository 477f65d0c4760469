// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "cli/cli.h"
#include "tests/support/fake_api.h"

namespace cvlan::cli {
namespace {

struct Ran {
    int code;
    std::string out, err;
};

class OnANode : public testing::Test {
protected:
    Ran run_it(std::vector<std::string> words, const std::string& typed = "") {
        if (!is_started_) api_.start();
        is_started_ = true;
        std::ostringstream out, err;
        std::istringstream in(typed);
        const ManualClock clock(*from_rfc3339("2026-11-20T10:01:00.000Z"));
        Io io{out, err, in, clock};
        io.colour = is_coloured_;
        words.insert(words.begin(), {"--socket", api_.path()});
        const int code = run(words, io);
        return {code, out.str(), err.str()};
    }
    void answer_status(const std::string& state) {
        api_.reply("GET", "/local/v1/status", 200, status_of(state));
    }
    static std::string status_of(const std::string& state) {
        return R"({"self":{"name":"n1","id":"i1","addresses":["10.100.0.1","fd00::1"],"state":")" +
               state +
               R"(","mapRevision":"12","mapAge":3,"mapExpiresAt":"2026-11-27T10:00:00.000Z","health":[{"code":"MAP_OLD",)"
               R"("severity":"warning","message":"no controller"}],"networks":[{"id":"w1","name":"lab","device":"cv-a",)"
               R"("addresses":["10.100.0.1"],"listenPort":51820,"state":"UP"}]},"peers":[{"name":"n2","id":"i2",)"
               R"("addresses":["10.100.0.2"],"endpoint":"192.0.2.2:51820","path":"DIRECT",)"
               R"("lastHandshake":"2026-11-20T10:00:18.000Z","rxBytes":"2048","txBytes":"12"},{"name":"n3","id":"i3",)"
               R"("addresses":["10.100.0.3"],"endpoint":null,"path":"NONE","lastHandshake":null,"rxBytes":"0","txBytes":"0"},)"
               R"({"name":"n4","id":"i4","addresses":["10.100.0.4"],"endpoint":"192.0.2.9:50000","path":"RELAY_UDP",)"
               R"("relay":"berlin","rttMs":31,"lastHandshake":null,"rxBytes":"0","txBytes":"0"},)"
               R"({"name":"n5","id":"i5","addresses":["10.100.0.5"],"endpoint":"127.128.0.1:40000","path":"RELAY_TLS",)"
               R"("relay":"berlin","rttMs":33,"lastHandshake":null,"rxBytes":"0","txBytes":"0"}]})";
    }

    test::FakeApi api_;
    bool is_started_ = false;
    bool is_coloured_ = false;
};

TEST_F(OnANode, ShowsWhatAPeersTunnelIsMadeOf) {
    std::string text = status_of("CONNECTED");
    text.replace(text.find(R"("path":"DIRECT")"), 15,
                 R"("path":"DIRECT","dataPlane":"IPSEC","cipher":"AES_GCM_16-256, ECP_384",)"
                 R"("saSeconds":42,"rekeyInSeconds":3000)");
    api_.reply("GET", "/local/v1/status", 200, text);
    const std::string out = run_it({"status"}).out;
    EXPECT_NE(out.find("SENT  DATA PLANE\n"), std::string::npos) << out;
    EXPECT_NE(out.find("IPSEC AES_GCM_16-256, ECP_384, 42 s old, rekey in 50 min\n"),
              std::string::npos)
        << out;
}

constexpr const char* kTunnels =
    R"({"tunnels":[{"peer":"n2","peerId":"i2","networkId":"w1","network":"lab","addresses":["10.100.0.2"],)"
    R"("state":"UP","ikeVersion":2,"localIdentity":"i1.t1.x","remoteIdentity":"i2.t1.x",)"
    R"("localEndpoint":"192.0.2.1:4500","remoteEndpoint":"192.0.2.2:4500","initiator":true,)"
    R"("mobike":true,"natLocal":false,"natRemote":true,"cipher":"AES_GCM_16-256, ECP_384",)"
    R"("inUdp":true,"spiIn":"c0000001","spiOut":"c0000002","rxBytes":"2048","txBytes":"12",)"
    R"("ageSeconds":42,"rekeyInSeconds":3000},)"
    R"({"peer":"n3","peerId":"i3","networkId":"w1","network":"lab","addresses":["10.100.0.3"],"state":"IDLE"}]})";

TEST_F(OnANode, ListsAndShowsItsTunnelsOverIpsec) {
    api_.reply("GET", "/local/v1/ipsec", 200, kTunnels);
    EXPECT_EQ(
        run_it({"ipsec", "list"}).out,
        "PEER  NETWORK  STATE  ENDPOINT        CIPHER                   AGE   REKEY IN  "
        "RECEIVED  SENT\n"
        "n2    lab      UP     192.0.2.2:4500  AES_GCM_16-256, ECP_384  42 s  50 min    2.0 "
        "KiB   12 B\n"
        "n3    lab      IDLE   -               -                        -     -         -     "
        "    -\n");
    for (const char* name : {"n2", "i2", "10.100.0.2"}) {
        const std::string out = run_it({"ipsec", "show", name}).out;
        for (const char* part : {"i2.t1.x\n", "on the other side\n", "c0000001\n", "asked for\n"})
            EXPECT_NE(out.find(part), std::string::npos) << out;
        EXPECT_EQ(out.find("n3"), std::string::npos) << out;
    }
    EXPECT_EQ(run_it({"ipsec", "show", "n9"}).code, kNotFound);
    EXPECT_EQ(run_it({"ipsec", "list", "-o", "json"}).out, std::string(kTunnels) + "\n");
}

TEST_F(OnANode, GivesAPeersTunnelsNewKeysOrEndsThem) {
    api_.reply("POST", "/local/v1/ipsec/rekey", 200, R"({"peer":"n2","sas":2})");
    api_.reply("POST", "/local/v1/ipsec/terminate", 404,
               R"({"type":"about:blank","title":"Not Found","status":404,"code":"NOT_FOUND",)"
               R"("detail":"no tunnel stands to this peer"})");
    EXPECT_EQ(run_it({"ipsec", "rekey", "n2"}).out, "n2: 2 SAs get new keys\n");
    EXPECT_EQ(run_it({"ipsec", "terminate", "n2"}).code, kNotFound);
}

TEST_F(OnANode, ShowsItselfItsPeersAndThatThereAreNoPolicies) {
    answer_status("CONNECTED");
    const Ran ran = run_it({"status"});
    EXPECT_EQ(ran.code, kOk);
    EXPECT_EQ(
        ran.out,
        "n1  CONNECTED\n"
        "  id         i1\n"
        "  addresses  10.100.0.1, fd00::1\n"
        "  map        revision 12, confirmed 3 s ago, good until 2026-11-27 10:00:00Z\n"
        "  network    lab  UP  cv-a  port 51820\n"
        "  warning    MAP_OLD: no controller\n"
        "\n"
        "PEER  ADDRESSES   PATH              ENDPOINT         ROUND TRIP  HANDSHAKE  RECEIVED  "
        "SENT\n"
        "n2    10.100.0.2  DIRECT            192.0.2.2:51820  -           42 s ago   2.0 KiB   "
        "12 B\n"
        "n3    10.100.0.3  NONE              -                -           never      0 B       "
        "0 B\n"
        "n4    10.100.0.4  RELAY berlin UDP  192.0.2.9:50000  31 ms       never      0 B       "
        "0 B\n"
        "n5    10.100.0.5  RELAY berlin TLS  -                33 ms       never      0 B       "
        "0 B\n"
        "\n"
        "Note: until policies exist, every node of a network reaches every other node of it.\n");
    EXPECT_EQ(run_it({"status", "-o", "json"}).out, status_of("CONNECTED") + "\n");
}

TEST_F(OnANode, SaysByItsExitCodeWhetherItIsUp) {
    for (const char* state : {"CONNECTED", "CONTROLLER_UNREACHABLE", "NEEDS_ENROLMENT",
                              "CONNECTING", "DOWN", "EXPIRED", "REVOKED"}) {
        test::FakeApi api;
        api.reply("GET", "/local/v1/status", 200, status_of(state));
        api.start();
        std::ostringstream out, err;
        std::istringstream in;
        const SystemClock clock;
        Io io{out, err, in, clock};
        const bool is_up =
            std::string(state).starts_with("CON") && std::string(state) != "CONNECTING";
        EXPECT_EQ(run({"status", "--socket", api.path()}, io), is_up ? kOk : kFailed) << state;
    }
}

TEST_F(OnANode, ColoursOnlyWhereItMay) {
    answer_status("CONNECTED");
    EXPECT_EQ(run_it({"status"}).out.find('\x1b'), std::string::npos);
    is_coloured_ = true;
    EXPECT_NE(run_it({"status"}).out.find("\x1b[32mCONNECTED"), std::string::npos);
    EXPECT_EQ(run_it({"status", "-o", "json"}).out.find('\x1b'), std::string::npos);
}

TEST_F(OnANode, SaysThatTheAgentIsNotThere) {
    std::ostringstream out, err;
    std::istringstream in;
    const SystemClock clock;
    Io io{out, err, in, clock};
    EXPECT_EQ(run({"status", "--socket", "/nonexistent/agent.sock"}, io), kUnreachable);
    EXPECT_NE(err.str().find("/nonexistent/agent.sock"), std::string::npos);
}

TEST_F(OnANode, PrintsNothingForAnEmptyPlan) {
    api_.reply("GET", "/local/v1/plan", 200, R"({"steps":[]})");
    const Ran table = run_it({"plan"});
    EXPECT_EQ(table.code, kOk);
    EXPECT_EQ(table.out + table.err, "");
    EXPECT_EQ(run_it({"plan", "-o", "json"}).out, "{\"steps\":[]}\n");
    EXPECT_EQ(run_it({"plan", "-o", "yaml"}).out, "steps: []\n");
}

TEST_F(OnANode, TakesATokenFromAFileStdinArgumentOrEnvironment) {
    api_.reply("POST", "/local/v1/up", 200,
               R"({"converged":true,"state":"CONNECTED","name":"n1","addresses":["10.100.0.1"]})");
    const std::string file = testing::TempDir() + "cvlan-token-" + std::to_string(getpid());
    std::ofstream(file) << "cvlan_reg_a.b\n";
    chmod(file.c_str(), 0600);
    const Ran ran = run_it({"up", "--token-file", file, "--name", "n1", "--wait", "5s"});
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(ran.out, "n1  CONNECTED  10.100.0.1\n");
    EXPECT_EQ(api_.bodies().back(), R"({"token":"cvlan_reg_a.b","name":"n1","waitSeconds":5})");
    run_it({"up", "--token-file", "-"}, "cvlan_reg_c.d\n");
    EXPECT_EQ(api_.bodies().back(), R"({"token":"cvlan_reg_c.d","waitSeconds":30})");
    setenv("CVLAN_TOKEN", "cvlan_reg_e.f", 1);
    run_it({"up"});
    EXPECT_EQ(api_.bodies().back(), R"({"token":"cvlan_reg_e.f","waitSeconds":30})");
    run_it({"up", "--token", "cvlan_reg_g.h"});
    EXPECT_EQ(api_.bodies().back(), R"({"token":"cvlan_reg_g.h","waitSeconds":30})");
    unsetenv("CVLAN_TOKEN");
    run_it({"up"});
    EXPECT_EQ(api_.bodies().back(), R"({"waitSeconds":30})");
    unlink(file.c_str());
}

TEST_F(OnANode, RefusesATokenFileThatOthersCanRead) {
    const std::string file = testing::TempDir() + "cvlan-open-token-" + std::to_string(getpid());
    std::ofstream(file) << "cvlan_reg_a.b\n";
    chmod(file.c_str(), 0644);
    const Ran ran = run_it({"up", "--token-file", file});
    EXPECT_EQ(ran.code, kDenied);
    EXPECT_NE(ran.err.find(file), std::string::npos);
    EXPECT_EQ(ran.err.find("cvlan_reg"), std::string::npos);
    EXPECT_TRUE(api_.seen().empty());
    chmod(file.c_str(), 0600);
    std::ofstream(file, std::ios::trunc) << "\n";
    EXPECT_EQ(run_it({"up", "--token-file", file}).code, kFailed);
    unlink(file.c_str());
    EXPECT_NE(run_it({"up", "--token-file", file}).code, kOk);
}

TEST_F(OnANode, NeverPrintsATokenThatWasRefused) {
    api_.reply("POST", "/local/v1/up", 410, test::problem(410, "the token is spent"));
    const Ran ran = run_it({"up", "--token", "cvlan_reg_secret"});
    EXPECT_EQ(ran.code, kDenied);
    EXPECT_EQ(ran.err, "cvlanctl: the token is spent\n");
}

TEST_F(OnANode, FailsAtTheEndOfTheWait) {
    api_.reply("POST", "/local/v1/up", 200,
               R"({"converged":false,"state":"CONNECTING","addresses":[],"detail":"no map yet"})");
    const Ran ran = run_it({"up", "--wait", "0s", "-o", "json"});
    EXPECT_EQ(ran.code, kFailed);
    EXPECT_EQ(ran.err, "cvlanctl: not up after 0 s: no map yet\n");
}

TEST_F(OnANode, LogsOutInPartWhereTheControllerIsAway) {
    api_.reply("POST", "/local/v1/logout", 200,
               R"({"removedAtController":false,"detail":"connection refused"})");
    const Ran ran = run_it({"logout"});
    EXPECT_EQ(ran.code, kPartly);
    EXPECT_NE(ran.err.find("connection refused"), std::string::npos);
}

TEST_F(OnANode, GoesDown) {
    api_.reply("POST", "/local/v1/down", 200, R"({"state":"DOWN"})");
    EXPECT_EQ(run_it({"down"}).out, "DOWN\n");
}

TEST_F(OnANode, PingTellsThePathOfEachAnswerAndEndsWithTheFirstDirectOne) {
    int sent = 0;
    api_.on("POST", "/local/v1/ping", [&](const httplib::Request&, httplib::Response& response) {
        const char* path = ++sent == 1
                               ? R"("RELAY_TLS","relay":"berlin","endpoint":"127.128.0.1:4")"
                           : sent == 2 ? R"("RELAY_UDP","relay":"berlin","endpoint":"192.0.2.9:5")"
                                       : R"("DIRECT","endpoint":"192.0.2.2:51820")";
        response.set_content(
            fmt::format(R"({{"answered":true,"peer":"n2","address":"10.100.0.2","path":{},)"
                        R"("rttMicroseconds":"1234"}})",
                        path),
            "application/json");
    });
    const Ran ran = run_it({"ping", "n2", "-c", "100"});
    EXPECT_EQ(ran.code, kOk);
    EXPECT_EQ(ran.out,
              "answer from n2 (10.100.0.2) in 1.23 ms, path RELAY berlin TLS\n"
              "answer from n2 (10.100.0.2) in 1.23 ms, path RELAY berlin UDP\n"
              "answer from n2 (10.100.0.2) in 1.23 ms, path DIRECT by 192.0.2.2:51820\n");
}

TEST_F(OnANode, NetcheckTellsOfTheNetworkAndOfRelays) {
    const std::string report =
        R"({"udp":true,"ipv4":true,"ipv6":false,"ipv4Endpoint":"198.51.100.7:4000",)"
        R"("mapping":"DEPENDENT","portMappers":["NAT_PMP"],"mappedEndpoint":"198.51.100.7:4001",)"
        R"("mtu":1500,"relays":[{"id":"r1","name":"berlin","region":"eu","home":true,"udpMs":12},)"
        R"({"id":"r2","name":"tokyo","home":false}]})";
    std::string answer = report;
    api_.on("POST", "/local/v1/netcheck",
            [&](const httplib::Request&, httplib::Response& response) {
                response.set_content(answer, "application/json");
            });
    const Ran ran = run_it({"netcheck"});
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(ran.out,
              "UDP             yes\n"
              "IPv4            yes, seen as 198.51.100.7:4000\n"
              "IPv6            no\n"
              "mapping         varies by destination\n"
              "port mapping    NAT_PMP, 198.51.100.7:4001\n"
              "MTU             1500\n"
              "captive portal  not known\n"
              "\n"
              "RELAY   REGION  UDP    TLS  HOME\n"
              "berlin  eu      12 ms  -    yes\n"
              "tokyo   -       -      -    no\n");
    EXPECT_EQ(run_it({"netcheck", "-o", "json"}).out, report + "\n");
    for (const auto& [state, told] : {std::pair("NOT_ASKED", "not asked for"),
                                      {"REFUSED", "NAT_PMP, refused"},
                                      {"MAPPED", "NAT_PMP, 198.51.100.7:4001"}}) {
        answer = report;
        answer.insert(1, fmt::format("\"portMapping\":\"{}\",", state));
        EXPECT_NE(run_it({"netcheck"}).out.find(fmt::format("port mapping    {}\n", told)),
                  std::string::npos)
            << state;
    }
    EXPECT_EQ(run_it({"netcheck", "-o", "name"}).out, "berlin\ntokyo\n");
    answer = report;
    answer.insert(1, R"("nat64":"64:ff9b::/96",)");
    EXPECT_NE(
        run_it({"netcheck"})
            .out.find(
                "IPv4            yes, seen as 198.51.100.7:4000, by the NAT64 of 64:ff9b::/96\n"),
        std::string::npos);
}

TEST_F(OnANode, PingSucceedsWhenOneProbeIsAnswered) {
    int sent = 0;
    api_.on(
        "POST", "/local/v1/ping", [&sent](const httplib::Request&, httplib::Response& response) {
            const bool answered = ++sent == 2;
            response.set_content(
                fmt::format(R"({{"answered":{},"peer":"n2","address":"10.100.0.2","path":"DIRECT",)"
                            R"("endpoint":"192.0.2.2:51820","rttMicroseconds":"1234"}})",
                            answered),
                "application/json");
        });
    const Ran ran = run_it({"ping", "n2"});
    EXPECT_EQ(ran.code, kOk);
    EXPECT_EQ(ran.out,
              "no answer from n2 (10.100.0.2), path DIRECT\n"
              "answer from n2 (10.100.0.2) in 1.23 ms, path DIRECT by 192.0.2.2:51820\n");
    EXPECT_EQ(run_it({"ping", "n2", "-c", "1"}).code, kFailed);
    EXPECT_EQ(api_.bodies().back(), R"({"peer":"n2","timeoutMs":2000})");
    EXPECT_EQ(run_it({"ping", "n2", "-c1", "-o", "json"}).out,
              "{\"probes\":[{\"answered\":false,\"peer\":\"n2\",\"address\":\"10.100.0.2\","
              "\"path\":\"DIRECT\","
              "\"endpoint\":\"192.0.2.2:51820\",\"rttMicroseconds\":\"1234\"}]}\n");
}

}  // namespace
}  // namespace cvlan::cli
