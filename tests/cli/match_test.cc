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

}  // namespace
}  // namespace cvlan::cli
