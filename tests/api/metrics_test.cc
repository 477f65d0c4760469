// SPDX-License-Identifier: Apache-2.0
// The controller's figures: what is counted, and that Prometheus' own promtool takes the text.
#include "api/metrics.h"

#include <gmock/gmock.h>

#include <fstream>
#include <regex>

#include "tests/api/fixture.h"
#include "tests/support/promtool.h"
#include "tests/support/sources.h"

namespace cvlan::api {
namespace {

using test::promtool;
using testing::HasSubstr;
using testing::Not;

struct MetricsTest : ApiTest {
    MetricsTest() {
        context.metrics->listeners = [] {
            http::Server::Stats stats;
            stats.connections = 3;
            stats.handshakes_failed = 2;
            stats.handshaking = 5;
            stats.admission_waits = 7;
            stats.abandoned = 9;
            return std::vector<ListenerFigures>{{"session", stats}};
        };
        context.metrics->certificates = [this] {
            return std::vector<CertificateFigures>{{"root", authority.root_not_after()}};
        };
    }
};

TEST_F(MetricsTest, PromtoolTakesTheText) {
    const auto network = make_network(make_tenant());
    ask("GET", "/nowhere");
    EXPECT_EQ(promtool(metrics_text(context, session_figures(context))), "") << network;
    EXPECT_NE(promtool("bad name 1\n"), "");
}

TEST_F(MetricsTest, AnswersAreCountedByRouteAndClass) {
    make_tenant();
    ask("GET", "/api/v1/tenants");
    ask("GET", "/api/v1/tenants?nonsense=1");
    ask("GET", "/nowhere");
    const std::string text = metrics_text(context, session_figures(context));
    const std::string requests = "cvlan_controller_http_requests_total{role=";
    EXPECT_THAT(text, HasSubstr(requests + R"("api",route="POST /api/v1/tenants",class="2xx"} 1)"));
    EXPECT_THAT(text, HasSubstr(requests + R"("api",route="GET /api/v1/tenants",class="2xx"} 1)"));
    EXPECT_THAT(text, HasSubstr(requests + R"("api",route="GET /api/v1/tenants",class="4xx"} 1)"));
    EXPECT_THAT(text, HasSubstr(requests + R"("none",route="none",class="4xx"} 1)"));
    EXPECT_THAT(
        text, HasSubstr("cvlan_controller_http_request_duration_seconds_count{role=\"api\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("cvlan_controller_http_connections{listener=\"session\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("handshakes_total{listener=\"session\",result=\"failed\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("handshakes_in_progress{listener=\"session\"} 5\n"));
    EXPECT_THAT(text, HasSubstr("admission_waits_total{listener=\"session\"} 7\n"));
    EXPECT_THAT(text, HasSubstr("abandoned_total{listener=\"session\"} 9\n"));
}

TEST_F(MetricsTest, EnrolmentsAreCountedByOutcomeAndNodesByState) {
    const auto tenant = make_tenant();
    const auto token = make_token(tenant, make_network(tenant));
    const TestNode node = enrolled(token.token, "one");
    EXPECT_EQ(enrol(new_node(), token.token, "two").status, 410);
    EXPECT_EQ(enrol(new_node(), "cvlan_reg_nonsense", "three").status, 401);
    ask("POST", "/api/v1/nodes/" + node.enrolment.node_id + "/revoke");
    const std::string text = metrics_text(context, session_figures(context));
    const std::string outcomes = "cvlan_controller_enrolments_total{outcome=";
    EXPECT_THAT(text, HasSubstr(outcomes + "\"ENROLLED\"} 1\n"));
    EXPECT_THAT(text, HasSubstr(outcomes + "\"TOKEN_SPENT\"} 1\n"));
    EXPECT_THAT(text, HasSubstr(outcomes + "\"TOKEN_INVALID\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("cvlan_controller_nodes{state=\"ACTIVE\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("cvlan_controller_nodes{state=\"REVOKED\"} 1\n"));
}

// F103, F104: no name or id of a tenant, a network or a node, and no more lines for more of them.
TEST_F(MetricsTest, TenantsMakeNoLines) {
    const auto first = make_tenant("canary-0");
    const std::string before = metrics_text(context, session_figures(context));
    for (int i = 1; i < 20; ++i) make_network(make_tenant(fmt::format("canary-{}", i)));
    ask("GET", "/api/v1/tenants/" + first);
    ask("GET", "/api/v1/networks");
    const auto lines = [](const std::string& text) {
        return std::count(text.begin(), text.end(), '\n');
    };
    const std::string after = metrics_text(context, session_figures(context));
    EXPECT_EQ(lines(after), lines(before) + 3);  // three routes that were not asked before
    EXPECT_THAT(after, Not(HasSubstr("canary")));
    EXPECT_THAT(after, Not(HasSubstr(first)));
}

// Every figure that the dashboard and the alerts ask for is one that we have.
TEST_F(MetricsTest, DashboardAndAlertsAskForFiguresThatThereAre) {
    context.metrics->jobs = [] { return std::vector<JobFigures>{}; };
    const std::string text = metrics_text(context, session_figures(context));
    const std::regex figure("(cvlan_controller_[a-z_]+?|process_[a-z_]+?)(_bucket)?\\b");
    for (const char* file : {"alerts.yaml", "dashboard.json"}) {
        std::ifstream opened(test::source_file(std::string("docs/monitoring/") + file));
        const std::string wanted((std::istreambuf_iterator<char>(opened)), {});
        std::sregex_iterator found(wanted.begin(), wanted.end(), figure);
        EXPECT_GT(std::distance(found, {}), 15) << file;
        for (; found != std::sregex_iterator(); ++found) {
            const std::string type = fmt::format("\n# TYPE {} ", (*found)[1].str());
            EXPECT_NE(text.find(type), std::string::npos) << file << ": " << found->str();
        }
    }
}

}  // namespace
}  // namespace cvlan::api
