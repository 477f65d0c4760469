// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>

#include "api/client/agent.h"
#include "api/client/controller.h"
#include "tests/support/fake_api.h"

namespace cvlan::client {
namespace {

constexpr const char* kId = "0193a1b2-0000-7000-8000-000000000001";

std::string tenant(const std::string& name) {
    return R"({"id":")" + std::string(kId) + R"(","name":")" + name +
           R"(","createdAt":"2026-11-20T10:00:00.000Z","fromTheFuture":1})";
}

Controller controller_of(const test::FakeApi& api) {
    return Controller(*Transport::open({.server = "unix:" + api.path()}));
}

TEST(Transport, RefusesAServerThatIsNeitherSocketNorHttps) {
    for (const char* server :
         {"", "http://a:1", "unix:", "unix:relative", "https://", "https://a:0", "https://a:65536",
          "https://a:x", "https://a/path", "https://u@a:1"}) {
        auto transport = Transport::open({.server = server});
        ASSERT_FALSE(transport) << server;
        EXPECT_EQ(transport.error().code, Code::Invalid) << server;
    }
    const std::string too_long = "unix:/" + std::string(200, 'x');
    EXPECT_FALSE(Transport::open({.server = too_long}));
}

TEST(Transport, TakesAddressesAndNames) {
    for (const char* server : {"https://controller.example:8443", "https://[2001:db8::1]:8443",
                               "https://192.0.2.1", "unix:/run/x.sock"})
        EXPECT_TRUE(Transport::open({.server = server})) << server;
}

TEST(Transport, SaysThatASocketIsAbsent) {
    Controller controller(*Transport::open({.server = "unix:/nonexistent/cvlan.sock"}));
    auto tenants = controller.list_tenants();
    ASSERT_FALSE(tenants);
    EXPECT_EQ(tenants.error().code, Code::Unavailable);
    EXPECT_NE(tenants.error().message.find("No such file"), std::string::npos);
}

TEST(Transport, SaysThatNobodyListensOnASocket) {
    test::FakeApi api;
    api.start();
    const std::string copy = api.path() + ".dead";
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    strncpy(address.sun_path, copy.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    close(fd);
    Controller controller(*Transport::open({.server = "unix:" + copy}));
    EXPECT_EQ(controller.list_tenants().error().code, Code::Unavailable);
    std::filesystem::remove(copy);
}

TEST(Transport, CanNotReachATlsServerThatIsNotThere) {
    Controller controller(*Transport::open({.server = "https://127.0.0.1:1"}));
    auto tenants = controller.list_tenants();
    ASSERT_FALSE(tenants);
    EXPECT_EQ(tenants.error().code, Code::Unavailable);
}

TEST(ProblemError, KeepsTheDetailAndThePlaceOfTheFault) {
    const Error error = problem_error(
        400,
        R"({"type":"about:blank","title":"Bad","status":400,"detail":"the prefix has host bits",
                 "code":"INVALID","requestId":"r","errors":[{"pointer":"/ipv4","detail":"want 10.0.0.0/24"}]})");
    EXPECT_EQ(error.code, Code::Invalid);
    EXPECT_EQ(error.message, "the prefix has host bits; /ipv4: want 10.0.0.0/24");
    EXPECT_EQ(error.pointer, "/ipv4");
}

TEST(ProblemError, MapsEachStatusToWhatACallerCanDo) {
    const std::vector<std::pair<int, Code>> expected{
        {400, Code::Invalid},  {401, Code::Denied},     {403, Code::Denied},
        {404, Code::NotFound}, {409, Code::Conflict},   {410, Code::Gone},
        {413, Code::TooLarge}, {422, Code::Invalid},    {429, Code::Unavailable},
        {500, Code::Internal}, {503, Code::Unavailable}};
    for (const auto& [status, code] : expected)
        EXPECT_EQ(problem_error(status, test::problem(status, "x")).code, code) << status;
}

TEST(ProblemError, SurvivesABodyThatIsNoProblem) {
    EXPECT_EQ(problem_error(502, "<html>").message, "the server answered 502");
    EXPECT_EQ(problem_error(400, "").code, Code::Invalid);
}

TEST(Controller, FollowsPagesToTheLast) {
    test::FakeApi api;
    api.on("GET", "/api/v1/tenants",
           [](const httplib::Request& request, httplib::Response& response) {
               const std::string at = request.get_param_value("pageToken");
               const std::string next = at.empty() ? "p/2" : at == "p/2" ? "p3" : "";
               response.set_content(R"({"tenants":[)" + tenant("t" + std::to_string(at.size())) +
                                        R"(],"nextPageToken":")" + next + "\"}",
                                    "application/json");
           });
    api.start();
    auto list = controller_of(api).list_tenants();
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_EQ(list->tenants.size(), 3u);
    EXPECT_EQ(list->next_page_token, "");
}

TEST(Controller, StopsAtPagesThatNeverEnd) {
    test::FakeApi api;
    api.reply("GET", "/api/v1/tenants", 200, R"({"tenants":[],"nextPageToken":"again"})");
    api.start();
    auto list = controller_of(api).list_tenants();
    ASSERT_FALSE(list);
    EXPECT_EQ(list.error().code, Code::Malformed);
}

TEST(Controller, FindsByIdWithOneRequestAndByNameThroughTheList) {
    test::FakeApi api;
    api.reply("GET", "/api/v1/tenants/[0-9a-f-]+", 200, tenant("acme"));
    api.reply(
        "GET", "/api/v1/tenants", 200,
        R"({"tenants":[)" + tenant("other") + "," + tenant("acme") + R"(],"nextPageToken":""})");
    api.start();
    Controller controller = controller_of(api);
    EXPECT_EQ(controller.find_tenant(kId)->name, "acme");
    EXPECT_EQ(controller.find_tenant("acme")->id, kId);
    EXPECT_EQ(controller.find_tenant("acm").error().code, Code::NotFound);
    EXPECT_EQ(api.seen().front(), std::string("GET /api/v1/tenants/") + kId);
    EXPECT_EQ(api.seen().at(1), "GET /api/v1/tenants?name=acme&pageSize=1000");
}

TEST(Controller, EncodesWhatAUserTyped) {
    test::FakeApi api;
    api.reply("GET", "/api/v1/tenants", 200, R"({"tenants":[],"nextPageToken":""})");
    api.start();
    EXPECT_EQ(controller_of(api).find_tenant("a&b=c/../%2e").error().code, Code::NotFound);
    EXPECT_EQ(api.seen().front(), "GET /api/v1/tenants?name=a%26b%3Dc%2F..%2F%252e&pageSize=1000");
}

TEST(Controller, SaysThatAnAnswerIsNotWhatItShouldBe) {
    test::FakeApi api;
    api.reply("GET", "/api/v1/tenants", 200, R"({"tenants":7})");
    api.start();
    EXPECT_EQ(controller_of(api).list_tenants().error().code, Code::Malformed);
}

// The connection ends in the middle of the first answer.
TEST(Controller, AsksAgainUnderTheSameKeyWhereAnAnswerIsLost) {
    test::FakeApi api;
    std::vector<std::string> keys;
    api.on("POST", "/api/v1/tenants", [&](const httplib::Request& request, httplib::Response& to) {
        keys.push_back(request.get_header_value("Idempotency-Key"));
        to.status = 201;
        if (keys.size() == 1)
            to.set_content_provider(100, "application/json",
                                    [](size_t, size_t, httplib::DataSink&) { return false; });
        else
            to.set_content(tenant("acme"), "application/json");
    });
    int deletions = 0;
    api.on("DELETE", "/api/v1/nodes/.*", [&](const httplib::Request&, httplib::Response& to) {
        ++deletions;
        to.set_content_provider(100, "application/json",
                                [](size_t, size_t, httplib::DataSink&) { return false; });
    });
    api.start();
    Controller controller = controller_of(api);
    wire::TenantCreate wanted;
    wanted.name = "acme";
    auto made = controller.create_tenant(wanted);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->name, "acme");
    ASSERT_EQ(keys.size(), 2U);
    EXPECT_EQ(keys[0], keys[1]);
    EXPECT_GE(keys[0].size(), 32U);
    (void)controller.create_tenant(wanted);
    EXPECT_NE(keys.back(), keys.front()) << "another request, another key";
    EXPECT_FALSE(controller.delete_node("", kId));
    EXPECT_EQ(deletions, 1) << "what has no key is sent once";
}

TEST(Agent, SendsItsRequestsToTheLocalPaths) {
    test::FakeApi api;
    api.reply("GET", "/local/v1/plan", 200, R"({"steps":["set peer"]})");
    api.reply("POST", "/local/v1/down", 200, R"({"state":"DOWN"})");
    api.reply("POST", "/local/v1/up", 403, test::problem(403, "the token is spent"));
    api.start();
    Agent agent = *Agent::open(api.path());
    EXPECT_EQ(agent.plan()->steps.size(), 1u);
    EXPECT_EQ(agent.down()->state, local::SelfState::Down);
    auto up = agent.up({.token = "t", .name = {}, .wait_seconds = 1});
    ASSERT_FALSE(up);
    EXPECT_EQ(up.error().code, Code::Denied);
    EXPECT_EQ(up.error().message, "the token is spent");
    EXPECT_EQ(api.bodies().back(), R"({"token":"t","waitSeconds":1})");
}

}  // namespace
}  // namespace cvlan::client
