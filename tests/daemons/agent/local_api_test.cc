// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/local_api.h"

#include <sys/stat.h>

#include <algorithm>

#include "http/client.h"
#include "tests/daemons/agent/fake_controller.h"

namespace cvlan::agent {
namespace {

using namespace testing;

struct LocalApiTest : ::testing::Test {
    EventLoop loop;
    FakeController controller{loop};
    Machine machine{loop};
    std::unique_ptr<LocalApi> api;
    std::unique_ptr<http::Client> client;

    void SetUp() override {
        machine.start();
        machine.config.socket = machine.folder.file("run/agent.sock");
        auto opened = LocalApi::listen(loop, *machine.agent, machine.config);
        ASSERT_TRUE(opened) << opened.error().message;
        api = std::move(*opened);
        http::ClientOptions options;
        options.unix_path = machine.config.socket;
        client = std::move(*http::Client::open(loop, std::move(options)));
    }
    http::Response ask(const std::string& method, const std::string& path,
                       const std::string& body = "") {
        std::optional<Result<http::Response>> answer;
        http::ClientRequest request;
        request.method = method;
        request.target = "/local/v1/" + path;
        request.body = body;
        client->request(std::move(request), [&](auto got) { answer = std::move(got); });
        EXPECT_TRUE(machine.until([&] { return answer.has_value(); }));
        return answer && *answer ? **answer : http::Response{.status = 0};
    }
    std::string code_of(const http::Response& response) {
        auto problem = model::decode<wire::Problem>(response.body, model::kDocument);
        return problem ? problem->code : "no problem document: " + response.body;
    }
};

TEST_F(LocalApiTest, TellsTheStatusOfAMachineWithoutAnIdentity) {
    const auto answer = ask("GET", "status");
    EXPECT_EQ(answer.status, 200);
    const auto status = model::decode<local::Status>(answer.body, model::kDocument);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->self.state, local::SelfState::NeedsEnrolment);
}

TEST_F(LocalApiTest, TheSocketIsForOwnerAndGroupAlone) {
    struct stat status {};
    ASSERT_EQ(stat(machine.config.socket.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(LocalApiTest, UpDownAndLogoutByTheSocket) {
    controller.publish(controller.issuer.maps.usual(5, 3, wireguard_key(1)));
    const auto up = ask("POST", "up", fmt::format(R"({{"token":"{}"}})", controller.token()));
    ASSERT_EQ(up.status, 200) << up.body;
    EXPECT_TRUE(model::decode<local::UpResult>(up.body)->converged);
    EXPECT_EQ(ask("GET", "plan").body, R"({"steps":[]})");
    EXPECT_EQ(ask("POST", "down").status, 200);
    EXPECT_TRUE(machine.kernel.devices.empty());
    EXPECT_EQ(ask("POST", "up", "{}").status, 200);
    EXPECT_NE(machine.device(), nullptr);
    const auto logout = ask("POST", "logout");
    EXPECT_TRUE(model::decode<local::LogoutResult>(logout.body)->removed_at_controller);
}

TEST_F(LocalApiTest, AMachineWithoutANetworkOverIpsecHasNoTunnels) {
    controller.publish(controller.issuer.maps.usual(5, 3, wireguard_key(1)));
    ASSERT_EQ(ask("POST", "up", fmt::format(R"({{"token":"{}"}})", controller.token())).status,
              200);
    EXPECT_EQ(ask("GET", "ipsec").body, R"({"tunnels":[]})");
    for (const char* what : {"ipsec/rekey", "ipsec/terminate"}) {
        const auto nobody = ask("POST", what, R"({"peer":"nobody"})");
        EXPECT_EQ(nobody.status, 404) << nobody.body;
        EXPECT_EQ(ask("POST", what, "{}").status, 400);
    }
}

TEST_F(LocalApiTest, NetcheckTellsWhatIsKnown) {
    const auto before = model::decode<local::NetcheckReport>(ask("POST", "netcheck").body);
    ASSERT_TRUE(before);
    EXPECT_FALSE(before->captive_portal);
    controller.publish(controller.issuer.maps.usual(5, 3, wireguard_key(1)));
    ASSERT_EQ(ask("POST", "up", fmt::format(R"({{"token":"{}"}})", controller.token())).status,
              200);
    const auto after = model::decode<local::NetcheckReport>(ask("POST", "netcheck").body);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->captive_portal, false);  // it was our controller that answered
    EXPECT_FALSE(after->udp);
    EXPECT_EQ(after->mapping, local::Mapping::Unknown);
}

TEST_F(LocalApiTest, NetcheckAsksTheControllerAnewAndAgainWhenASecondIsOver) {
    controller.publish(controller.issuer.maps.usual(5, 3, wireguard_key(1)));
    ASSERT_EQ(ask("POST", "up", fmt::format(R"({{"token":"{}"}})", controller.token())).status,
              200);
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    const auto asked = [&] {
        return std::count(controller.requests.begin(), controller.requests.end(),
                          "GET /api/v1/node/map");
    };
    const auto before = asked();
    EXPECT_EQ(ask("POST", "netcheck").status, 200);
    EXPECT_GT(asked(), before);
    ASSERT_TRUE(machine.until([&] { return controller.held() == 2; }));
    const auto once = asked();
    std::optional<bool> answered;
    machine.agent->netcheck(
        [&](const Answer<local::NetcheckReport>& report) { answered = report.has_value(); });
    EXPECT_EQ(asked(), once);
    EXPECT_FALSE(answered) << "what is known is of before";
    ASSERT_TRUE(machine.until([&] { return answered.has_value(); }));
    EXPECT_GT(asked(), once);
    machine.clock.advance(std::chrono::seconds(1));
    controller.stop();
    const auto report = model::decode<local::NetcheckReport>(ask("POST", "netcheck").body);
    ASSERT_TRUE(report);
    EXPECT_FALSE(report->captive_portal) << "what was known is of before";
}

TEST_F(LocalApiTest, ARefusedTokenIsARefusedRequestInTheControllersWords) {
    controller.refuse(410, "TOKEN_SPENT");
    const auto up = ask("POST", "up", fmt::format(R"({{"token":"{}"}})", controller.token()));
    EXPECT_EQ(up.status, 410);
    EXPECT_EQ(code_of(up), "TOKEN_SPENT");
}

TEST_F(LocalApiTest, AnUnreachableControllerIs503) {
    const std::string token = controller.token();
    controller.stop();
    EXPECT_EQ(ask("POST", "up", fmt::format(R"({{"token":"{}"}})", token)).status, 503);
}

TEST_F(LocalApiTest, RefusesWhatItDoesNotKnow) {
    EXPECT_EQ(ask("GET", "nothing").status, 404);
    EXPECT_EQ(ask("POST", "nothing").status, 404);
    EXPECT_EQ(ask("DELETE", "status").status, 405);
    EXPECT_EQ(code_of(ask("POST", "up", R"({"tokn":"x"})")), "INVALID");
    EXPECT_EQ(ask("POST", "up", "not json").status, 400);
    EXPECT_EQ(ask("POST", "ping", R"({"peer":"nobody"})").status, 404);
    EXPECT_EQ(code_of(ask("POST", "logout")), "NEEDS_ENROLMENT");
}

}  // namespace
}  // namespace cvlan::agent
