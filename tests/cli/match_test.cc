// SPDX-License-Identifier: Apache-2.0
// A change is of what was seen when it was planned: its ETag goes with it as If-Match.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cli/cli.h"
#include "tests/support/fake_api.h"

namespace cvlan::cli {
namespace {

constexpr const char* kTenant = "0193a1b2-0000-7000-8000-000000000001";
constexpr const char* kNetwork = "0193a1b2-0000-7000-8000-000000000002";

// A controller where something happens to everything all the time: each look at the tenant sees
// another `revision`, and each look at the network another ETag.
struct ABusyTenant : testing::Test {
    ABusyTenant() {
        on("GET", "/api/v1/tenants", [this](httplib::Response& response) {
            json(response, fmt::format(R"({{"tenants":[{}],"nextPageToken":""}})", tenant()));
        });
        on("GET", std::string("/api/v1/tenants/") + kTenant, [this](httplib::Response& response) {
            response.set_header("ETag", "\"3\"");
            json(response, tenant());
        });
        on("PATCH", std::string("/api/v1/tenants/") + kTenant,
           [this](httplib::Response& response) { json(response, tenant()); });
        api_.reply("GET", "/api/v1/auth/me", 200, R"({"actor":"operator:0","role":"OWNER"})");
        on("GET", "/api/v1/networks", [](httplib::Response& response) {
            json(response, fmt::format(R"({{"networks":[{}],"nextPageToken":""}})", network()));
        });
        on("GET", std::string("/api/v1/networks/") + kNetwork, [this](httplib::Response& response) {
            response.set_header("ETag", fmt::format("\"{}\"", ++looks_));
            json(response, network());
        });
        on("POST", "/api/v1/networks", [](httplib::Response& response) {
            response.status = 201;
            json(response, network());
        });
        on("PATCH", std::string("/api/v1/networks/") + kNetwork,
           [](httplib::Response& response) { json(response, network()); });
        on("DELETE", std::string("/api/v1/networks/") + kNetwork,
           [](httplib::Response& response) { response.status = 204; });
        api_.start();
    }
    void on(const std::string& method, const std::string& path,
            const std::function<void(httplib::Response&)>& answer) {
        api_.on(method, path, [=, this](const httplib::Request& request, httplib::Response& to) {
            if (method != "GET") matches_.push_back(request.get_header_value("If-Match"));
            answer(to);
        });
    }
    static void json(httplib::Response& response, const std::string& text) {
        response.set_content(text, "application/json");
    }
    std::string tenant() {
        return fmt::format(
            R"({{"id":"{}","name":"acme","description":"a","suspended":false,"quotas":{{}},)"
            R"("createdAt":"2026-11-20T10:00:00.000Z","revision":"{}"}})",
            kTenant, ++revision_);
    }
    static std::string network() {
        return fmt::format(
            R"({{"id":"{}","tenantId":"{}","name":"lab","ipv4":"10.1.0.0/24","mtu":1420,)"
            R"("nodeCount":"0","createdAt":"2026-11-20T10:00:00.000Z","revision":"2"}})",
            kNetwork, kTenant);
    }
    int run_it(std::vector<std::string> words, const std::string& typed = "") {
        std::ostringstream out, err;
        std::istringstream in(typed);
        const SystemClock clock;
        Io io{out, err, in, clock};
        words.insert(words.begin(), {"--server", "unix:" + api_.path()});
        const int code = run(words, io);
        said_ = out.str() + err.str();
        return code;
    }

    test::FakeApi api_;
    std::vector<std::string> matches_;
    std::string said_;
    int revision_ = 10;
    int looks_ = 0;
};

TEST_F(ABusyTenant, IsChangedAllTheSame) {
    const std::string wish = "kind: tenant\nname: acme\ndescription: b\n";
    EXPECT_EQ(run_it({"diff", "-f", "-"}, wish), 1) << said_;
    EXPECT_EQ(run_it({"apply", "-f", "-"}, wish), kOk) << said_;
    EXPECT_EQ(matches_, std::vector<std::string>(3, "\"3\"")) << "tried twice, and done";
}

TEST_F(ABusyTenant, LosesNoObjectThatHasChangedSinceItWasToGo) {
    const std::string wish =
        "kind: tenant\nname: acme\ndescription: b\n---\n"
        "kind: network\ntenant: acme\nname: new\nipv4: 10.2.0.0/24\n";
    EXPECT_EQ(run_it({"apply", "--prune", "--yes", "-f", "-"}, wish), kOk) << said_;
    EXPECT_EQ(matches_.back(), "\"1\"");
    EXPECT_EQ(looks_, 1);
    const auto all = api_.seen();
    const auto look =
        std::find(all.rbegin(), all.rend(),
                  fmt::format("GET /api/v1/networks/{}?tenant={}", kNetwork, kTenant));
    const auto first =
        std::find(all.rbegin(), all.rend(), fmt::format("PATCH /api/v1/tenants/{}", kTenant));
    ASSERT_TRUE(look != all.rend() && first != all.rend());
    EXPECT_GT(look, first) << "it was looked at before anything was done";
}

TEST_F(ABusyTenant, LosesNothingToACommandOfANounEither) {
    EXPECT_EQ(run_it({"network", "delete", "lab", "--yes"}), kOk) << said_;
    EXPECT_EQ(run_it({"network", "rename", "lab", "lan"}), kOk) << said_;
    EXPECT_EQ(matches_, (std::vector<std::string>{"\"1\"", "\"2\""}));
}

// What every command sends as If-Match is the ETag that was seen.
struct Seen : testing::Test {
    static constexpr const char* kObject =
        R"({"id":"0193a1b2-0000-7000-8000-000000000002","name":"n","tenantId":)"
        R"("0193a1b2-0000-7000-8000-000000000001"})";
    Seen() {
        api_.reply("GET", "/api/v1/tenants", 200,
                   fmt::format(R"({{"tenants":[{{"id":"{}","name":"acme","createdAt":)"
                               R"("2026-11-20T10:00:00.000Z"}}],"nextPageToken":""}})",
                               kTenant));
        for (const char* method : {"GET", "PATCH", "POST", "DELETE"})
            api_.on(method, "/api/v1/.*",
                    [this](const httplib::Request& request, httplib::Response& response) {
                        if (request.method == "GET") response.set_header("ETag", "\"7\"");
                        if (request.method != "GET")
                            sent_.push_back(request.method + " " +
                                            request.get_header_value("If-Match"));
                        response.set_content(kObject, "application/json");
                    });
        api_.start();
    }
    test::FakeApi api_;
    std::vector<std::string> sent_;
};

TEST_F(Seen, GoesWithEveryCommandThatChangesSomething) {
    const std::vector<std::string> commands{"tenant rename ID x",
                                            "tenant delete ID",
                                            "tenant suspend ID",
                                            "network rename ID x",
                                            "network update ID --data-plane IPSEC",
                                            "network delete ID",
                                            "token revoke ID",
                                            "token delete ID",
                                            "token-key delete ID",
                                            "node rename ID x",
                                            "node expire ID",
                                            "node revoke ID",
                                            "node delete ID",
                                            "user role ID --role admin",
                                            "user disable ID",
                                            "user enable ID",
                                            "user delete ID",
                                            "service-account role ID --role admin",
                                            "service-account disable ID",
                                            "service-account delete ID",
                                            "access-token delete ID",
                                            "webhook enable ID",
                                            "webhook disable ID",
                                            "webhook rotate-secret ID",
                                            "webhook delete ID",
                                            "job run ID",
                                            "group delete ID",
                                            "policy delete ID"};
    const SystemClock clock;
    for (const std::string& command : commands) {
        std::vector<std::string> words{"--server", "unix:" + api_.path(), "--yes", "-o", "name"};
        std::istringstream line(command);
        for (std::string word; line >> word;)
            words.push_back(word == "ID" ? "0193a1b2-0000-7000-8000-000000000002" : word);
        std::ostringstream out, err;
        std::istringstream in;
        Io io{out, err, in, clock};
        EXPECT_EQ(run(words, io), kOk) << command << ": " << err.str();
        ASSERT_FALSE(sent_.empty()) << command;
        EXPECT_TRUE(sent_.back().ends_with(" \"7\"")) << command << ": " << sent_.back();
        sent_.clear();
    }
}

// Who prunes the accounts of a tenant is one of them, more often than not.
TEST(Pruning, LeavesWhoAsksAndWhatTheyProveThemselvesBy) {
    test::FakeApi api;
    const auto account = [](int number) {
        return fmt::format(
            R"({{"id":"0193a1b2-0000-7000-8000-00000000000{0}","tenantId":"{1}","kind":"SERVICE",)"
            R"("name":"robot{0}","role":"ADMIN","disabled":false,)"
            R"("createdAt":"2026-11-20T10:00:00.000Z"}})",
            number, kTenant);
    };
    const auto token = [](int number) {
        return fmt::format(
            R"({{"id":"0193a1b2-0000-7000-8000-00000000001{0}","tenantId":"{1}","name":"t{0}",)"
            R"("accountId":"0193a1b2-0000-7000-8000-00000000000{0}","prefix":"x",)"
            R"("createdAt":"2026-11-20T10:00:00.000Z","expiresAt":"2026-11-21T10:00:00.000Z"}})",
            number, kTenant);
    };
    api.reply("GET", "/api/v1/tenants", 200,
              fmt::format(R"({{"tenants":[{{"id":"{}","name":"acme","createdAt":)"
                          R"("2026-11-20T10:00:00.000Z"}}],"nextPageToken":""}})",
                          kTenant));
    api.reply("GET", "/api/v1/auth/me", 200,
              fmt::format(R"({{"actor":"a","role":"ADMIN","account":{}}})", account(1)));
    api.reply("GET", "/api/v1/service-accounts", 200,
              fmt::format(R"({{"serviceAccounts":[{},{},{}],"nextPageToken":""}})", account(1),
                          account(2), account(3)));
    api.reply("GET", "/api/v1/service-accounts/.*", 200, account(2));
    api.reply("GET", "/api/v1/access-tokens", 200,
              fmt::format(R"({{"accessTokens":[{},{},{}],"nextPageToken":""}})", token(1), token(2),
                          token(3)));
    api.reply("GET", "/api/v1/access-tokens/.*", 200, token(2));
    api.start();
    std::ostringstream out, err;
    std::istringstream in(
        "kind: service-account\nname: robot3\n---\nkind: access-token\nname: t3\n");
    const SystemClock clock;
    Io io{out, err, in, clock};
    ASSERT_EQ(run({"--server", "unix:" + api.path(), "diff", "--prune", "-f", "-"}, io), 1)
        << err.str();
    EXPECT_EQ(out.str(), "- access-token acme/t2\n- service-account acme/robot2\n");
}

}  // namespace
}  // namespace cvlan::cli
