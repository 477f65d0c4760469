// SPDX-License-Identifier: Apache-2.0
// What an agent counts, and that Prometheus' own tool takes the text.
#include <gmock/gmock.h>

#include "daemons/agent/figures.h"
#include "tests/daemons/agent/fake_controller.h"
#include "tests/support/figures.h"
#include "tests/support/promtool.h"

namespace cvlan::agent {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

template <class... Peers>
std::vector<wg::Device> device_of(Peers... peers) {
    std::vector<wg::Device> devices(1);
    devices[0].name = "cv-1";
    (devices[0].peers.push_back(std::move(peers)), ...);
    return devices;
}
wg::Peer peer_of(int number, uint64_t rx, uint64_t tx, std::optional<WallTime> handshake = {}) {
    wg::Peer peer;
    peer.public_key = *wg::PublicKey::parse(wireguard_key(number));
    peer.rx_bytes = rx;
    peer.tx_bytes = tx;
    peer.last_handshake = handshake;
    return peer;
}

TEST(TrafficSums, BeginWhereTheKernelStoodAndNeverStepBack) {
    TrafficSums sums;
    sums.look(device_of(peer_of(1, 1000, 100, kNow)));
    EXPECT_EQ(sums.rx_bytes(), 0u);
    EXPECT_EQ(sums.handshakes(), 0u);
    sums.look(device_of(peer_of(1, 1500, 110, kNow), peer_of(2, 7, 8, kNow)));
    EXPECT_EQ(sums.rx_bytes(), 507u);
    EXPECT_EQ(sums.tx_bytes(), 18u);
    EXPECT_EQ(sums.handshakes(), 1u);
    // Peer 1 was made anew, peer 2 is gone.
    sums.look(device_of(peer_of(1, 20, 30, kNow + std::chrono::seconds(1))));
    EXPECT_EQ(sums.rx_bytes(), 527u);
    EXPECT_EQ(sums.tx_bytes(), 48u);
    EXPECT_EQ(sums.handshakes(), 2u);
    sums.look({});
    EXPECT_EQ(sums.rx_bytes(), 527u);
}

struct AgentMetrics : ::testing::Test {
    void bring_up(int count) {
        local::UpRequest request;
        request.token = controller.token();
        controller.publish(controller.issuer.maps.usual(5, count, "x"));
        std::optional<Answer<local::UpResult>> answer;
        machine.agent->up(request, [&](auto a) { answer = std::move(a); });
        ASSERT_TRUE(machine.until([&] { return controller.enrolment || answer; }));
        controller.publish(controller.issuer.maps.usual(
            6, count, controller.enrolment ? *controller.enrolment->wireguard_public_key : ""));
        ASSERT_TRUE(machine.until([&] { return answer && *answer && (*answer)->converged; }));
    }
    std::string metrics() { return machine.agent->metrics(); }

    EventLoop loop;
    FakeController controller{loop};
    Machine machine{loop};
};

TEST_F(AgentMetrics, AreTakenByPromtoolBeforeAndAfterAnEnrolment) {
    machine.start();
    EXPECT_EQ(test::promtool(metrics()), "");
    EXPECT_TRUE(machine.agent->is_ready());
    bring_up(3);
    EXPECT_EQ(test::promtool(metrics()), "");
    EXPECT_TRUE(machine.agent->is_ready());
}

TEST_F(AgentMetrics, HaveWhatDashboardAndAlertsAskFor) {
    machine.start();
    size_t count = 0;
    EXPECT_THAT(test::missing_figures("cvlan_agent_", metrics(), &count), IsEmpty());
    EXPECT_GT(count, 7u);
}

TEST_F(AgentMetrics, TellPeersByPathAndNoneOfThemByName) {
    machine.start();
    bring_up(4);
    const std::string text = metrics();
    EXPECT_THAT(text, HasSubstr("cvlan_agent_peers{path=\"NONE\"} 3\n"));
    for (const char* path : {"DIRECT", "RELAY_UDP", "RELAY_TLS"})
        EXPECT_THAT(text, HasSubstr(fmt::format("cvlan_agent_peers{{path=\"{}\"}} 0\n", path)));
    EXPECT_THAT(text, Not(HasSubstr(wireguard_key(2))));
    EXPECT_THAT(text, Not(HasSubstr(node_id(2))));
}

TEST_F(AgentMetrics, TellTheMapTheControllerAndTheCertificate) {
    machine.start();
    bring_up(3);
    const std::string tenant = "{tenant=\"" + kTenant + "\"} ";
    EXPECT_THAT(metrics(), HasSubstr("cvlan_agent_map_revision" + tenant + "6\n"));
    EXPECT_THAT(metrics(), HasSubstr("cvlan_agent_controller_connected" + tenant + "1\n"));
    EXPECT_THAT(metrics(), HasSubstr("cvlan_agent_certificate_expiry_timestamp_seconds" + tenant));
    machine.clock.advance(std::chrono::seconds(90));
    EXPECT_THAT(metrics(), HasSubstr("cvlan_agent_map_age_seconds" + tenant + "90\n"));
    controller.stop();
    EXPECT_TRUE(machine.until([&] {
        return metrics().find("cvlan_agent_controller_connected" + tenant + "0\n") !=
               std::string::npos;
    }));
}

TEST_F(AgentMetrics, CountStepsAndWhatOthersChanged) {
    machine.start();
    bring_up(3);
    EXPECT_THAT(metrics(), Not(HasSubstr("cvlan_agent_steps_applied_total 0\n")));
    EXPECT_THAT(metrics(), HasSubstr("cvlan_agent_drift_repaired_total 0\n"));
    machine.kernel.devices.clear();
    machine.agent->kernel_changed();
    EXPECT_TRUE(machine.until([&] { return machine.device() != nullptr; }));
    EXPECT_THAT(metrics(), Not(HasSubstr("cvlan_agent_drift_repaired_total 0\n")));
}

}  // namespace
}  // namespace cvlan::agent
