// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "cli/cli.h"
#include "pki/token.h"
#include "tests/support/fake_api.h"
#include "tests/support/temp_dir.h"

namespace cvlan::cli {
namespace {

constexpr const char* kTenantId = "0193a1b2-0000-7000-8000-000000000001";
constexpr const char* kNetworkId = "0193a1b2-0000-7000-8000-000000000002";
constexpr const char* kNodeId = "0193a1b2-0000-7000-8000-000000000003";
constexpr const char* kTokenId = "0193a1b2-0000-7000-8000-000000000004";
constexpr const char* kTime = "2026-11-20T10:00:00.000Z";

std::string tenant(const char* name = "acme") {
    return fmt::format(R"({{"id":"{}","name":"{}","createdAt":"{}"}})", kTenantId, name, kTime);
}
std::string network() {
    return fmt::format(
        R"({{"id":"{}","tenantId":"{}","name":"lab","ipv4":"10.100.0.0/24","createdAt":"{}"}})",
        kNetworkId, kTenantId, kTime);
}
std::string node(const std::string& name) {
    return fmt::format(
        R"({{"id":"{}","tenantId":"{}","name":"{}","state":"ACTIVE","role":"NODE",)"
        R"("memberships":[{{"networkId":"{}","networkName":"lab","addresses":["10.100.0.1"],)"
        R"("wireguardPublicKey":"k"}}],"createdAt":"{}"}})",
        kNodeId, kTenantId, name, kNetworkId, kTime);
}
std::string token() {
    return fmt::format(
        R"({{"id":"{}","tenantId":"{}","networkId":"{}","role":"NODE","usesTotal":2,"usesLeft":1,)"
        R"("createdAt":"{}","expiresAt":"2026-11-21T10:00:00.000Z","revoked":false}})",
        kTokenId, kTenantId, kNetworkId, kTime);
}
std::string list(const char* key, const std::string& items) {
    return fmt::format(R"({{"{}":[{}],"nextPageToken":""}})", key, items);
}

struct Ran {
    int code;
    std::string out, err;
};

class Cvlanctl : public testing::Test {
protected:
    void SetUp() override {
        api_.reply("GET", "/api/v1/tenants", 200, list("tenants", tenant()));
        api_.reply("GET", "/api/v1/networks", 200, list("networks", network()));
    }

    Ran run_it(std::vector<std::string> words, bool is_terminal = false,
               const std::string& typed = "") {
        if (!is_started_) api_.start();
        is_started_ = true;
        std::ostringstream out, err;
        std::istringstream in(typed);
        const ManualClock clock(*from_rfc3339("2026-11-20T10:01:00.000Z"));
        Io io{out, err, in, clock, is_terminal};
        words.insert(words.begin(), {"--server", "unix:" + api_.path(), "--socket", api_.path()});
        const int code = run(words, io);
        return {code, out.str(), err.str()};
    }

    test::FakeApi api_;
    bool is_started_ = false;
};

TEST_F(Cvlanctl, PrintsOneRowForAnObjectItCreated) {
    api_.reply("POST", "/api/v1/tenants", 201, tenant());
    const Ran ran = run_it({"tenant", "create", "acme"});
    EXPECT_EQ(ran.code, kOk);
    EXPECT_EQ(ran.out, fmt::format("acme  2026-11-20 10:00:00Z  {}\n", kTenantId));
    EXPECT_EQ(ran.err, "");
    EXPECT_EQ(api_.bodies().back(), R"({"name":"acme"})");
    EXPECT_EQ(run_it({"-o", "name", "tenant", "create", "acme"}).out, "acme\n");
}

TEST_F(Cvlanctl, PrintsTheApisDocumentAsJson) {
    api_.reply("GET", "/api/v1/nodes", 200, list("nodes", node("n1")));
    const Ran ran = run_it({"node", "list", "--tenant", "acme", "-o", "json"});
    EXPECT_EQ(ran.code, kOk);
    EXPECT_EQ(ran.out, list("nodes", node("n1")) + "\n");
}

TEST_F(Cvlanctl, PrintsYamlThatKeepsStringsStrings) {
    api_.reply("GET", "/local/v1/plan", 200, R"({"steps":["set peer","12","no","a: b"]})");
    EXPECT_EQ(run_it({"plan", "-o", "yaml"}).out,
              "steps:\n  - \"set peer\"\n  - \"12\"\n  - \"no\"\n  - \"a: b\"\n");
}

TEST_F(Cvlanctl, ListsNodesAsATable) {
    api_.reply("GET", "/api/v1/nodes", 200,
               list("nodes", node("n1") + "," + node("a-longer-name")));
    const Ran ran = run_it({"node", "list", "--tenant", "acme", "--network", "lab"});
    EXPECT_EQ(ran.out, fmt::format("NAME           STATE   ADDRESSES   NETWORKS  LAST SEEN  ID\n"
                                   "n1             ACTIVE  10.100.0.1  lab       -          {0}\n"
                                   "a-longer-name  ACTIVE  10.100.0.1  lab       -          {0}\n",
                                   kNodeId));
    EXPECT_EQ(
        api_.seen().back(),
        fmt::format("GET /api/v1/nodes?tenant={}&network={}&pageSize=1000", kTenantId, kNetworkId));
    EXPECT_EQ(run_it({"node", "list", "-o", "name"}).out, "n1\na-longer-name\n");
}

TEST_F(Cvlanctl, ATokenOfARelayNeedsNoNetwork) {
    api_.reply(
        "POST", "/api/v1/tokens", 201,
        fmt::format(R"({{"token":"cvlan_reg_x.y","id":"{}","record":{}}})", kTokenId, token()));
    EXPECT_EQ(run_it({"token", "create", "--role", "relay"}).out, "cvlan_reg_x.y\n");
    EXPECT_EQ(api_.bodies().back(),
              fmt::format(R"({{"tenantId":"{}","uses":1,"expiresIn":"86400s","role":"RELAY"}})",
                          kTenantId));
    for (const char* role : {"node", "vrouter"}) {
        const Ran ran = run_it({"token", "create", "--role", role});
        EXPECT_EQ(ran.code, kUsage);
        EXPECT_EQ(ran.err, "cvlanctl: --network is required, unless --role is relay\n");
    }
}

TEST_F(Cvlanctl, ShowsByWhichPathANodeReachesItsPeers) {
    const auto peer = [](const std::string& name, const std::string& more) {
        return fmt::format(
            R"({{"networkId":"{}","networkName":"lab","nodeId":"{}","name":"{}",{}}})", kNetworkId,
            kNodeId, name, more);
    };
    const std::string path = fmt::format("/api/v1/nodes/{}/peers", kNodeId);
    const std::string peers = fmt::format(
        R"({{"reportedAt":"{}","peers":[{},{},{}]}})", kTime,
        peer("n2", R"("path":"DIRECT","endpoint":"192.0.2.9:51820","rttMs":12)"),
        peer("n3", fmt::format(R"("path":"RELAY_TLS","relayId":"{}","relayName":"berlin",)"
                               R"("rttMs":31)",
                               kTokenId)),
        peer("n4", R"("path":"NONE")"));
    api_.reply("GET", "/api/v1/nodes", 200, list("nodes", node("n1")));
    api_.reply("GET", path, 200, peers);
    const Ran ran = run_it({"node", "peers", "n1"});
    EXPECT_EQ(ran.out,
              fmt::format("PEER  NETWORK  PATH       ENDPOINT         RELAY   ROUND TRIP  ID\n"
                          "n2    lab      DIRECT     192.0.2.9:51820  -       12 ms       {0}\n"
                          "n3    lab      RELAY_TLS  -                berlin  31 ms       {0}\n"
                          "n4    lab      NONE       -                -       -           {0}\n",
                          kNodeId));
    EXPECT_EQ(run_it({"node", "peers", "n1", "-o", "json"}).out, peers + "\n");
    const std::string shown = run_it({"node", "show", "n1"}).out;
    for (const char* line :
         {"Peers as of", "n2 in lab", "DIRECT 192.0.2.9:51820, 12 ms", "RELAY_TLS berlin, 31 ms"})
        EXPECT_NE(shown.find(line), std::string::npos) << line << '\n' << shown;
    EXPECT_EQ(run_it({"node", "show", "n1", "-o", "json"}).out, node("n1") + "\n");
}

TEST_F(Cvlanctl, ShowsWhatATenantHasAndHasCarried) {
    const std::string usage = fmt::format(
        R"({{"networks":"1","nodes":{{"active":"2","pending":"0","expired":"1","revoked":"0"}},)"
        R"("users":"3","tokens":"4","receivedBytes":"1258291","sentBytes":"900","traffic":[)"
        R"({{"networkId":"{}","networkName":"lab","receivedBytes":"1258291","sentBytes":"900"}}]}})",
        kNetworkId);
    api_.reply("GET", fmt::format("/api/v1/tenants/{}/usage", kTenantId), 200, usage);
    const std::string shown = run_it({"tenant", "usage", "acme"}).out;
    for (const char* line : {"2 active, 0 pending, 1 expired, 0 revoked", "Carried", "lab",
                             "1.2 MiB received, 900 B sent"})
        EXPECT_NE(shown.find(line), std::string::npos) << line << '\n' << shown;
    EXPECT_EQ(run_it({"tenant", "usage", "acme", "-o", "json"}).out, usage + "\n");
}

TEST_F(Cvlanctl, ShowsANodeOfAControllerThatKnowsNoPaths) {
    api_.reply("GET", "/api/v1/nodes", 200, list("nodes", node("n1")));
    api_.reply("GET", fmt::format("/api/v1/nodes/{}/peers", kNodeId), 404,
               R"({"type":"about:blank","title":"Not Found","status":404,)"
               R"("code":"NOT_FOUND","requestId":"r"})");
    const Ran ran = run_it({"node", "show", "n1"});
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(ran.out.find("Peers"), std::string::npos);
}

TEST_F(Cvlanctl, MakesRemoteTextHarmless) {
    const std::string evil = "a\\u001b[31m\\u202eb\\u009b";
    api_.reply("GET", "/api/v1/nodes", 200, list("nodes", node(evil)));
    const std::string table = run_it({"node", "list"}).out;
    EXPECT_EQ(table.find('\x1b'), std::string::npos);
    EXPECT_EQ(table.find("\u202e"), std::string::npos);
    const std::string json = run_it({"node", "list", "-o", "json"}).out;
    EXPECT_NE(json.find("\\u001b"), std::string::npos);
    EXPECT_NE(json.find("\\u202e"), std::string::npos);
    EXPECT_NE(json.find("\\u009b"), std::string::npos);
}

TEST_F(Cvlanctl, PrintsATokenAloneAndWithItsIdAsJson) {
    api_.reply(
        "POST", "/api/v1/tokens", 201,
        fmt::format(R"({{"token":"cvlan_reg_x.y","id":"{}","record":{}}})", kTokenId, token()));
    const std::vector<std::string> create{"token",     "create", "--tenant", "acme",
                                          "--network", "lab",    "--uses",   "2",
                                          "--expires", "2h",     "--role",   "relay"};
    const Ran ran = run_it(create);
    EXPECT_EQ(ran.out, "cvlan_reg_x.y\n");
    EXPECT_EQ(
        api_.bodies().back(),
        fmt::format(
            R"({{"tenantId":"{}","networkId":"{}","uses":2,"expiresIn":"7200s","role":"RELAY"}})",
            kTenantId, kNetworkId));
    std::vector<std::string> as_json = create;
    as_json.insert(as_json.end(), {"-o", "json"});
    EXPECT_EQ(run_it(as_json).out,
              fmt::format("{{\"token\":\"cvlan_reg_x.y\",\"id\":\"{}\"}}\n", kTokenId));
}

TEST_F(Cvlanctl, ShowsATokensState) {
    api_.reply("GET", "/api/v1/tokens/.*", 200, token());
    const Ran ran = run_it({"token", "show", kTokenId});
    EXPECT_NE(ran.out.find("State      good\n"), std::string::npos) << ran.out;
    EXPECT_NE(ran.out.find("Uses left  1 of 2\n"), std::string::npos) << ran.out;
}

TEST_F(Cvlanctl, CreatesANetworkWithAPrivateIpv6PrefixUnlessToldOtherwise) {
    api_.reply("POST", "/api/v1/networks", 201, network());
    EXPECT_EQ(
        run_it({"network", "create", "lab", "--tenant", "acme", "--ipv4", "10.100.0.0/24"}).code,
        kOk);
    EXPECT_EQ(
        api_.bodies().back(),
        fmt::format(R"({{"tenantId":"{}","name":"lab","ipv4":"10.100.0.0/24","ipv6":"auto"}})",
                    kTenantId));
}

TEST_F(Cvlanctl, AsksBeforeItDeletesAndNeverWithoutATerminal) {
    api_.reply("GET", "/api/v1/nodes", 200, list("nodes", node("n1")));
    api_.reply("GET", "/api/v1/nodes/.*", 200, node("n1"));
    api_.on("DELETE", "/api/v1/nodes/.*",
            [](const httplib::Request&, httplib::Response& response) { response.status = 204; });
    const Ran refused = run_it({"node", "delete", "n1"});
    EXPECT_EQ(refused.code, kUsage);
    EXPECT_NE(refused.err.find("--yes"), std::string::npos);
    const Ran asked = run_it({"node", "delete", "n1"}, true, "n\n");
    EXPECT_EQ(asked.code, kUsage);
    EXPECT_NE(asked.err.find("Delete node n1? [y/N]"), std::string::npos) << asked.err;
    EXPECT_EQ(run_it({"node", "delete", "n1"}, true, "").code, kUsage);
    for (const std::string& request : api_.seen())
        EXPECT_EQ(request.find("DELETE"), std::string::npos);
    EXPECT_EQ(run_it({"node", "delete", "n1"}, true, "y\n").code, kOk);
    const Ran done = run_it({"node", "delete", "n1", "--yes"});
    EXPECT_EQ(done.code, kOk);
    EXPECT_EQ(done.out + done.err, "");
    EXPECT_EQ(api_.seen().back(),
              fmt::format("DELETE /api/v1/nodes/{}?tenant={}", kNodeId, kTenantId));
}

TEST_F(Cvlanctl, RenamesTenantsAndNetworks) {
    api_.reply("GET", "/api/v1/tenants/.*", 200, tenant());
    api_.reply("GET", "/api/v1/networks", 200, list("networks", network()));
    api_.reply("GET", "/api/v1/networks/.*", 200, network());
    api_.reply("PATCH", "/api/v1/networks/.*", 200, network());
    api_.reply("PATCH", "/api/v1/tenants/.*", 200, tenant("t2"));
    EXPECT_EQ(run_it({"tenant", "rename", "acme", "t2", "-o", "name"}).out, "t2\n");
    EXPECT_EQ(api_.bodies().back(), R"({"name":"t2"})");
    EXPECT_EQ(api_.seen().back(), fmt::format("PATCH /api/v1/tenants/{}", kTenantId));
    EXPECT_EQ(run_it({"network", "rename", "lab", "lan", "-o", "name"}).code, kOk);
    EXPECT_EQ(api_.bodies().back(), R"({"name":"lan"})");
    EXPECT_EQ(api_.seen().back(),
              fmt::format("PATCH /api/v1/networks/{}?tenant={}", kNetworkId, kTenantId));
    EXPECT_EQ(run_it({"tenant", "rename", "acme"}).code, kUsage);
}

TEST_F(Cvlanctl, RenamesExpiresAndRevokesByName) {
    api_.reply("GET", "/api/v1/nodes", 200, list("nodes", node("n1")));
    api_.reply("GET", "/api/v1/nodes/.*", 200, node("n1"));
    api_.reply("PATCH", "/api/v1/nodes/.*", 200, node("n2"));
    api_.reply("POST", "/api/v1/nodes/.*/(expire|revoke)", 200, node("n1"));
    EXPECT_EQ(run_it({"node", "rename", "n1", "n2", "-o", "name"}).out, "n2\n");
    EXPECT_EQ(api_.bodies().back(), R"({"name":"n2"})");
    EXPECT_EQ(run_it({"node", "expire", "n1"}).code, kOk);
    EXPECT_EQ(run_it({"node", "revoke", "n1"}).code, kUsage);
    const Ran asked = run_it({"node", "revoke", "n1"}, true, "n\n");
    EXPECT_NE(asked.err.find("Revoke node n1? Its keys can never be used again."),
              std::string::npos)
        << asked.err;
    EXPECT_EQ(run_it({"node", "revoke", "n1", "--yes", "-o", "name"}).code, kOk);
    EXPECT_EQ(api_.seen().back(),
              fmt::format("POST /api/v1/nodes/{}/revoke?tenant={}", kNodeId, kTenantId));
}

TEST_F(Cvlanctl, TellsFailuresApartByExitCode) {
    const std::vector<std::pair<int, int>> expected{
        {400, kFailed}, {403, kDenied}, {404, kNotFound},   {409, kConflict},
        {410, kDenied}, {500, kFailed}, {503, kUnreachable}};
    for (const auto& [status, code] : expected)
        api_.reply("GET", fmt::format("/api/v1/tokens/{}", status), status,
                   test::problem(status, "because"));
    for (const auto& [status, code] : expected) {
        const Ran ran = run_it({"token", "show", std::to_string(status)});
        EXPECT_EQ(ran.code, code) << status;
        EXPECT_EQ(ran.out, "");
        EXPECT_EQ(ran.err, "cvlanctl: because\n");
    }
    EXPECT_EQ(run_it({"node", "list", "--tenant", "nobody"}).code, kNotFound);
}

TEST_F(Cvlanctl, SaysUsageForWordsItDoesNotKnow) {
    const std::vector<std::vector<std::string>> wrong{
        {},
        {"nonsense"},
        {"node"},
        {"node", "nonsense"},
        {"node", "show"},
        {"tenant", "create", "a", "b"},
        {"node", "list", "-o", "xml"},
        {"node", "list", "--server", "ftp://x"},
        {"token", "create", "--network", "lab", "--uses", "0"},
        {"token", "create", "--network", "lab", "--expires", "soon"},
        {"up", "--wait", "11m"},
        {"up", "--token", "a", "--token-file", "b"},
        {"ping", "n1", "-c", "0"}};
    for (const auto& words : wrong) {
        const Ran ran = run_it(words);
        EXPECT_EQ(ran.code, kUsage) << fmt::format("{}", fmt::join(words, " "));
        EXPECT_EQ(ran.out, "");
        EXPECT_NE(ran.err, "");
    }
}

// The controller hears the public half, and is not asked for a token.
TEST_F(Cvlanctl, MakesATokenOfflineWithAKeyOfItsOwn) {
    const test::TempDir dir;
    const std::string file = dir.file("field.key");
    const std::string known = fmt::format(
        R"({{"id":"{}","tenantId":"{}","name":"field","kid":"0123","publicKey":"AA==","createdAt":"{}"}})",
        kTokenId, kTenantId, kTime);
    api_.reply(
        "POST", "/api/v1/token-keys", 201,
        fmt::format(R"({{"tokenKey":{},"url":"https://controller.test:8443","caSpki":"{}"}})",
                    known, base64(Bytes(32, 7))));
    api_.reply("DELETE", fmt::format("/api/v1/token-keys/{}", kTokenId), 204, "");
    ASSERT_EQ(run_it({"token-key", "create", "field", "--out", file}).code, kOk);
    struct stat status {};
    ASSERT_EQ(stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    const std::string body = api_.bodies().back();
    const size_t key_at = body.find("publicKey\":\"") + 12;
    const auto key = pki::VerifyKey::from_base64(body.substr(key_at, 44));
    ASSERT_TRUE(key) << body;

    const auto asked = api_.seen().size();
    const Ran ran = run_it({"token", "make", "--signing-key", file, "--network", kNetworkId,
                            "--uses", "3", "--expires", "2h", "--role", "vrouter"});
    ASSERT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(api_.seen().size(), asked);
    const auto token = pki::parse_token(ran.out.substr(0, ran.out.size() - 1));
    ASSERT_TRUE(token) << ran.out;
    EXPECT_TRUE(pki::verify_token(*token, *key, *from_rfc3339("2026-11-20T12:00:59.000Z")));
    EXPECT_FALSE(pki::verify_token(*token, *key, *from_rfc3339("2026-11-20T12:01:01.000Z")));
    EXPECT_EQ(token->claims.tenant_id, kTenantId);
    EXPECT_EQ(token->claims.network_id, kNetworkId);
    EXPECT_EQ(token->claims.uses, 3);
    EXPECT_EQ(token->claims.role, model::TokenRole::Vrouter);
    EXPECT_EQ(token->claims.url, "https://controller.test:8443");

    const Ran for_relay = run_it({"token", "make", "--signing-key", file, "--role", "relay"});
    ASSERT_EQ(for_relay.code, kOk) << for_relay.err;
    const auto relays = pki::parse_token(for_relay.out.substr(0, for_relay.out.size() - 1));
    ASSERT_TRUE(relays) << relays.error().message;
    EXPECT_EQ(relays->claims.role, model::TokenRole::Relay);
    EXPECT_EQ(relays->claims.network_id, "");
    EXPECT_EQ(run_it({"token", "make", "--signing-key", file}).code, kUsage) << "of which network?";

    // A name means nothing without the controller; and no file of somebody is written over.
    EXPECT_NE(run_it({"token", "make", "--signing-key", file, "--network", "lab"}).err.find("id"),
              std::string::npos);
    const Ran again = run_it({"token-key", "create", "field", "--out", file});
    EXPECT_EQ(again.code, kConflict) << again.err;
    EXPECT_EQ(api_.seen().back(),
              fmt::format("DELETE /api/v1/token-keys/{}?tenant={}", kTokenId, kTenantId));
}

TEST_F(Cvlanctl, PrintsHelpAndVersionOnStandardOutput) {
    for (const auto& words : {std::vector<std::string>{"--help"},
                              {"node", "list", "--help"},
                              {"--version"},
                              {"version"},
                              {"version", "-o", "json"}}) {
        const Ran ran = run_it(words);
        EXPECT_EQ(ran.code, kOk);
        EXPECT_NE(ran.out, "");
        EXPECT_EQ(ran.err, "");
    }
}

constexpr const char* kEntry =
    R"({"sequence":"7","at":"2026-11-20T10:00:00.000Z","actor":"operator:0","source":"unix",)"
    R"("requestId":"r","action":"NODE_REVOKED","objectKind":"node","objectId":"n","outcome":"OK",)"
    R"("count":"1","before":"","after":"","previousHash":"a","hash":"b"})";

TEST_F(Cvlanctl, ListsTheAuditOfTheLastDayUnlessToldOtherwise) {
    api_.reply("GET", "/api/v1/audit", 200, list("entries", kEntry));
    const Ran ran = run_it({"audit", "list", "--actor", "operator:0"});
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_NE(ran.out.find("operator:0  unix    NODE_REVOKED  n       OK       1"),
              std::string::npos)
        << ran.out;
    EXPECT_EQ(api_.seen().back(),
              fmt::format("GET /api/v1/audit?tenant={}&actor=operator%3A0&since=2026-11-19T10%3A01"
                          "%3A00.000Z&pageSize=1000",
                          kTenantId));
    run_it({"audit", "list", "--operator", "--since", "1h"});
    EXPECT_EQ(api_.seen().back(),
              "GET /api/v1/audit?since=2026-11-20T09%3A01%3A00.000Z&pageSize=1000");
    EXPECT_EQ(run_it({"audit", "list", "--since", "yesterday"}).code, kFailed);
}

TEST_F(Cvlanctl, ExportsTheAuditPageByPage) {
    api_.on("GET", "/api/v1/audit/export",
            [](const httplib::Request& request, httplib::Response& response) {
                const bool is_last = request.has_param("pageToken");
                if (!is_last)
                    response.set_header(
                        "Link", "</api/v1/audit/export?format=csv&pageToken=2>; rel=\"next\"");
                response.set_content(is_last ? "two\r\n" : "one\r\n", "text/csv");
            });
    const Ran ran = run_it({"audit", "export", "--format", "csv"});
    EXPECT_EQ(ran.code, kOk) << ran.err;
    EXPECT_EQ(ran.out, "one\r\ntwo\r\n");
    EXPECT_EQ(api_.seen().back(), "GET /api/v1/audit/export?format=csv&pageToken=2");
}

TEST_F(Cvlanctl, AChainThatIsBrokenIsNamedAndFails) {
    api_.reply("GET", "/api/v1/audit/verify", 200,
               fmt::format(R"({{"chains":[{{"entries":"3","lastSequence":"3","lastHash":"c",)"
                           R"("whole":true}},{{"tenantId":"{}","entries":"1","lastSequence":"2",)"
                           R"("lastHash":"d","whole":false,"fault":"entry 2 was changed"}}]}})",
                           kTenantId));
    const Ran ran = run_it({"audit", "verify"});
    EXPECT_EQ(ran.code, kFailed);
    EXPECT_NE(ran.out.find("operator"), std::string::npos);
    EXPECT_EQ(ran.err, fmt::format("cvlanctl: audit of {}: entry 2 was changed\n", kTenantId));
}

TEST_F(Cvlanctl, RunsAJobByItsName) {
    const std::string job = fmt::format(
        R"({{"id":"{}","name":"sweep","nextRunAt":"{}","running":false,"finishedAt":"{}",)"
        R"("succeeded":false,"result":"no room"}})",
        kNodeId, kTime, kTime);
    api_.reply("GET", "/api/v1/jobs", 200, list("jobs", job));
    api_.reply("GET", fmt::format("/api/v1/jobs/{}", kNodeId), 200, job);
    api_.reply("POST", fmt::format("/api/v1/jobs/{}/run", kNodeId), 202, job);
    EXPECT_NE(run_it({"job", "list"}).out.find("sweep  failed"), std::string::npos);
    EXPECT_NE(run_it({"job", "show", "sweep"}).out.find("Result       no room\n"),
              std::string::npos);
    EXPECT_EQ(run_it({"job", "run", "sweep"}).code, kOk);
    EXPECT_EQ(api_.seen().back(), fmt::format("POST /api/v1/jobs/{}/run", kNodeId));
    EXPECT_EQ(run_it({"job", "run", "nothing"}).code, kNotFound);
}

TEST_F(Cvlanctl, ListsWithTheFiltersAndOrdersOfTheApi) {
    const std::vector<std::string> options{"--filter",   "name=x",         "--limit", "7",
                                           "--order-by", "createdAt desc", "-o",      "json"};
    struct {
        std::vector<std::string> words;
        const char *path, *items;
        bool in_tenant = true;
    } const cases[] = {{{"tenant"}, "tenants", "tenants", false},
                       {{"network"}, "networks", "networks"},
                       {{"node"}, "nodes", "nodes"},
                       {{"token-key"}, "token-keys", "tokenKeys"},
                       {{"user"}, "users", "users"},
                       {{"service-account"}, "service-accounts", "serviceAccounts"},
                       {{"access-token"}, "access-tokens", "accessTokens", false},
                       {{"webhook"}, "webhooks", "webhooks"},
                       {{"job"}, "jobs", "jobs", false}};
    for (const auto& it : cases)
        if (std::string(it.path) != "tenants" && std::string(it.path) != "networks")
            api_.reply("GET", fmt::format("/api/v1/{}", it.path), 200, list(it.items, ""));
    for (const auto& it : cases) {
        std::vector<std::string> words{it.words};
        words.emplace_back("list");
        words.insert(words.end(), options.begin(), options.end());
        const Ran ran = run_it(words);
        EXPECT_EQ(ran.code, kOk) << ran.err;
        EXPECT_EQ(api_.seen().back(),
                  fmt::format("GET /api/v1/{}?{}name=x&orderBy=createdAt%20desc&pageSize=7",
                              it.path, it.in_tenant ? fmt::format("tenant={}&", kTenantId) : ""));
        words = it.words;
        words.insert(words.end(), {"list", "--filter", "colour=red"});
        EXPECT_EQ(run_it(words).code, kFailed) << it.path;
    }
}

TEST_F(Cvlanctl, AsksWhichTenantWhereThereAreSeveral) {
    test::FakeApi several;
    several.reply("GET", "/api/v1/tenants", 200, list("tenants", tenant("a") + "," + tenant("b")));
    several.start();
    std::ostringstream out, err;
    std::istringstream in;
    const SystemClock clock;
    Io io{out, err, in, clock};
    EXPECT_EQ(run({"--server", "unix:" + several.path(), "node", "list"}, io), kFailed);
    EXPECT_NE(err.str().find("--tenant"), std::string::npos);
}

}  // namespace
}  // namespace cvlan::cli
