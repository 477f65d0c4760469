// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/agent.h"

#include <linux/rtnetlink.h>

#include <fstream>

#include "tests/daemons/agent/fake_controller.h"

namespace cvlan::agent {
namespace {

using namespace testing;
using local::SelfState;

struct AgentTest : ::testing::Test {
    EventLoop loop;
    FakeController controller{loop};
    Machine machine{loop};

    void SetUp() override { machine.start(); }

    // Enrolled, with a map of `count` nodes.
    void bring_up(int count = 3) {
        local::UpRequest request;
        request.token = controller.token();
        controller.publish(controller.issuer.maps.usual(5, count, "x"));
        std::optional<Answer<local::UpResult>> answer;
        machine.agent->up(request, [&](auto a) { answer = std::move(a); });
        ASSERT_TRUE(machine.until([&] { return controller.enrolment || answer; }));
        controller.publish(controller.issuer.maps.usual(
            6, count, controller.enrolment ? *controller.enrolment->wireguard_public_key : ""));
        ASSERT_TRUE(machine.until([&] { return answer.has_value(); }));
        ASSERT_TRUE(*answer) << answer->error().error.message;
        EXPECT_TRUE((*answer)->converged) << (*answer)->detail.value_or("");
    }
    std::string identity_path() {
        return machine.folder.file("state/" + kTenant + "/identity.json");
    }
    void spoil(const std::string& path) { std::ofstream(path, std::ios::trunc) << "spoiled"; }
};

TEST_F(AgentTest, WithoutAnIdentityItNeedsOne) {
    EXPECT_EQ(machine.state(), SelfState::NeedsEnrolment);
    const auto up = machine.up({});
    ASSERT_FALSE(up);
    EXPECT_EQ(up.error().code, "NEEDS_ENROLMENT");
    EXPECT_TRUE(machine.kernel.applied.empty());
}

TEST_F(AgentTest, ATokenIsAllItTakes) {
    bring_up();
    EXPECT_EQ(machine.state(), SelfState::Connected);
    ASSERT_NE(machine.device(), nullptr);
    EXPECT_EQ(machine.device()->peers.size(), 2u);
    EXPECT_TRUE(machine.agent->plan()->steps.empty());
    const auto status = machine.agent->status();
    EXPECT_EQ(status.self.name, "n1");
    EXPECT_EQ(status.self.addresses, std::vector<std::string>{"10.100.0.1"});
    EXPECT_EQ(status.peers.size(), 2u);
    EXPECT_TRUE(status.notice);
}

TEST_F(AgentTest, KeysAreOnTheDiskBeforeTheyAreSent) {
    controller.refuse(503, "UNAVAILABLE");
    local::UpRequest request;
    request.token = controller.token();
    const auto up = machine.up(request);
    ASSERT_FALSE(up);
    machine.agent.reset();
    const auto kept = StateDir::open(machine.folder.file("state"))->load_identities();
    ASSERT_EQ(kept->size(), 1u);
    const std::string key = (*kept)[0].kept.tls_key;
    EXPECT_FALSE(key.empty());
    // The second attempt, even of another process, uses the same ones.
    machine.start();
    EXPECT_FALSE(machine.up(request));
    EXPECT_EQ(machine.state(), SelfState::NeedsEnrolment);
    machine.agent.reset();
    const auto again = StateDir::open(machine.folder.file("state"))->load_identities();
    EXPECT_EQ((*again)[0].kept.tls_key, key);
}

TEST_F(AgentTest, ARefusedTokenIsToldInTheControllersWords) {
    controller.refuse(410, "TOKEN_SPENT");
    local::UpRequest request;
    request.token = controller.token();
    const auto up = machine.up(request);
    ASSERT_FALSE(up);
    EXPECT_EQ(up.error().status, 410);
    EXPECT_EQ(up.error().code, "TOKEN_SPENT");
    EXPECT_TRUE(machine.kernel.devices.empty());
}

TEST_F(AgentTest, NonsenseIsNoToken) {
    local::UpRequest request;
    request.token = "cvlan_reg_AAAA.BBBB";
    const auto up = machine.up(request);
    ASSERT_FALSE(up);
    EXPECT_EQ(up.error().status, 403);
    EXPECT_TRUE(controller.requests.empty());
}

TEST_F(AgentTest, ATokenOfAnotherAuthorityIsRefusedBeforeAnythingIsSent) {
    const Issuer stranger;
    local::UpRequest request;
    request.token = stranger.token(controller.url());
    const auto up = machine.up(request);
    ASSERT_FALSE(up);
    EXPECT_EQ(up.error().error.code, Code::Denied);
    EXPECT_TRUE(controller.requests.empty());
}

TEST_F(AgentTest, AnUnreachableControllerIsUnavailable) {
    local::UpRequest request;
    request.token = controller.token();
    controller.stop();
    const auto up = machine.up(request);
    ASSERT_FALSE(up);
    EXPECT_EQ(up.error().error.code, Code::Unavailable);
}

// Its timers stood still: a query that was held before would be waited for for more than a minute.
TEST_F(AgentTest, AfterASleepTheControllerIsAskedOnAnotherConnectionAtOnce) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    const auto queries = [&] {
        return std::count(controller.requests.begin(), controller.requests.end(),
                          "GET /api/v1/node/map");
    };
    const auto rounds_after = [&](std::chrono::seconds time) {
        machine.clock.advance(time);
        EXPECT_TRUE(machine.up({}));
    };
    const auto before = queries();
    rounds_after(std::chrono::seconds(14));
    EXPECT_EQ(queries(), before) << "it was awake";
    rounds_after(std::chrono::seconds(60));
    // A short one, whose answer tells that the controller is there, and one that is held.
    EXPECT_TRUE(machine.until([&] { return queries() == before + 2; }));
    EXPECT_TRUE(machine.until([&] { return machine.state() == SelfState::Connected; }));
}

TEST_F(AgentTest, ADeltaReachesTheKernel) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    controller.publish(controller.issuer.maps.delta(
        9, {controller.issuer.maps.tombstone(node_id(2), 8),
            controller.issuer.maps.peer(node_id(4), 4, 9, wireguard_key(4))}));
    ASSERT_TRUE(machine.until([&] {
        return machine.kernel.peer(reconcile::device_name(kNetwork),
                                   *wg::PublicKey::parse(wireguard_key(4))) != nullptr;
    }));
    EXPECT_EQ(machine.kernel.peer(reconcile::device_name(kNetwork),
                                  *wg::PublicKey::parse(wireguard_key(2))),
              nullptr);
    EXPECT_EQ(machine.device()->peers.size(), 2u);
}

TEST_F(AgentTest, AnUnchangedRoundWritesNothing) {
    bring_up();
    const size_t steps = machine.kernel.applied.size();
    machine.clock.advance(std::chrono::seconds(2));  // else it waits for the swarm to pass
    machine.agent->kernel_changed();
    const int observed = machine.kernel.observed;
    ASSERT_TRUE(machine.until([&] { return machine.kernel.observed > observed; }));
    machine.agent->status();
    EXPECT_EQ(machine.kernel.applied.size(), steps);
}

// F51: 100,000 changes, of which the monitor tells as long as it can.
TEST_F(AgentTest, AFloodOfEventsIsFewRoundsAndWhatItHidIsRepaired) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    machine.clock.advance(std::chrono::seconds(10));
    const int before = machine.kernel.observed;
    machine.kernel.devices.clear();
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(450);
    while (std::chrono::steady_clock::now() < end) {
        for (int i = 0; i < 1000; ++i) machine.agent->kernel_changed();
        loop.run_once(std::chrono::milliseconds(0));
    }
    ASSERT_NE(machine.device(), nullptr);
    EXPECT_EQ(machine.device()->peers.size(), 2u);
    // One for the swarm, one to see that its repair holds; perhaps the usual look at WireGuard.
    EXPECT_LE(machine.kernel.observed, before + 4);
}

TEST_F(AgentTest, ANewAgentAdoptsWhatStands) {
    bring_up();
    const size_t steps = machine.kernel.applied.size();
    machine.start();
    EXPECT_EQ(machine.kernel.applied.size(), steps);
    EXPECT_NE(machine.device(), nullptr);
    EXPECT_TRUE(machine.until([&] { return machine.state() == SelfState::Connected; }));
}

TEST_F(AgentTest, AfterARebootWithoutAControllerTheDiskBringsTheTunnelsUp) {
    bring_up();
    controller.stop();
    machine.agent.reset();
    machine.kernel.devices.clear();
    machine.kernel.routes.clear();
    machine.kernel.rules.clear();
    machine.start();
    ASSERT_NE(machine.device(), nullptr);
    EXPECT_EQ(machine.device()->peers.size(), 2u);
    EXPECT_TRUE(machine.until([&] { return machine.state() == SelfState::ControllerUnreachable; }));
    EXPECT_TRUE(machine.agent->plan()->steps.empty());
    EXPECT_TRUE(machine.up({})->converged);
}

TEST_F(AgentTest, DownTakesAllAwayAndStaysSoOverARestart) {
    bring_up();
    ASSERT_TRUE(machine.agent->down());
    EXPECT_TRUE(machine.kernel.devices.empty());
    EXPECT_TRUE(machine.kernel.rules.empty());
    EXPECT_TRUE(machine.kernel.routes.empty());
    EXPECT_EQ(machine.state(), SelfState::Down);
    machine.start();
    EXPECT_TRUE(machine.kernel.devices.empty());
    EXPECT_EQ(machine.state(), SelfState::Down);
    const auto up = machine.up({});
    ASSERT_TRUE(up);
    EXPECT_TRUE(up->converged);
    EXPECT_NE(machine.device(), nullptr);
}

TEST_F(AgentTest, ARevokedNodeDropsItsTunnelsForGood) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    controller.refuse(403, "NODE_REVOKED");
    ASSERT_TRUE(machine.until([&] { return machine.device() == nullptr; }));
    EXPECT_EQ(machine.state(), SelfState::Revoked);
    machine.start();
    EXPECT_EQ(machine.device(), nullptr);
    local::UpRequest request;
    request.token = controller.token();
    EXPECT_EQ(machine.up(request).error().code, "NODE_REVOKED");
}

// ADR 3: the machine was off until its certificate had run out.
TEST_F(AgentTest, ARunOutCertificateIsReplacedByATokenUnderTheSameKey) {
    bring_up();
    const auto first = pki::Csr::parse(controller.enrolment->csr);
    controller.stop();
    machine.clock.advance(std::chrono::hours(24 * 40));
    machine.start();
    ASSERT_TRUE(machine.until([&] { return machine.state() == SelfState::Expired; }));
    controller.start();
    controller.enrolment.reset();
    local::UpRequest request;
    request.token = controller.token();
    const auto port = machine.device()->listen_port;
    const size_t steps = machine.kernel.applied.size();
    ASSERT_TRUE(machine.up(request));
    ASSERT_TRUE(controller.enrolment) << "it did not enrol again";
    EXPECT_EQ(machine.kernel.applied.size(), steps) << "tunnels that stood were touched";
    EXPECT_EQ(machine.device()->listen_port, port);
    EXPECT_EQ(pki::Csr::parse(controller.enrolment->csr)->key_hash(), first->key_hash());
}

// F33: the controller is away for an hour, for the certificate's life and beyond. The tunnels stay,
// and the status says how long for.
TEST_F(AgentTest, WithoutAControllerTheTunnelsOutliveTheCertificateAndTheStatusCountsDown) {
    using std::chrono::hours;
    bring_up();
    const auto ends = machine.agent->status().self.certificate_expires_at;
    ASSERT_TRUE(ends);
    const auto warned_of = [&](const std::string& code) {
        for (const auto health = machine.agent->status().self.health; const auto& item : health)
            if (item.code == code) return item.severity + " " + item.message;
        return std::string();
    };
    controller.stop();
    ASSERT_TRUE(machine.until([&] { return machine.state() == SelfState::ControllerUnreachable; }));
    machine.clock.advance(hours(1));
    EXPECT_EQ(machine.state(), SelfState::ControllerUnreachable);
    EXPECT_EQ(warned_of("CERTIFICATE_EXPIRES") + warned_of("MAP_EXPIRES"), "");
    machine.clock.advance(hours(24 * 6));
    EXPECT_EQ(warned_of("MAP_EXPIRES"), "warning the map runs out in 23 h");
    machine.clock.advance(hours(24 * 2));
    EXPECT_EQ(warned_of("MAP_EXPIRED"),
              "error the map has run out; it is kept, so a revoked peer would stay");
    machine.clock.advance(*ends - machine.clock.now() - hours(1));
    EXPECT_EQ(machine.state(), SelfState::ControllerUnreachable);
    EXPECT_EQ(warned_of("CERTIFICATE_EXPIRES"),
              "warning the certificate runs out at " + rfc3339(*ends));
    machine.clock.advance(hours(2));
    EXPECT_EQ(machine.state(), SelfState::Expired);
    EXPECT_EQ(machine.agent->status().self.certificate_expires_at, ends);
    const size_t steps = machine.kernel.applied.size();
    machine.clock.advance(hours(24 * 30));
    machine.start();
    ASSERT_TRUE(machine.until([&] { return machine.state() == SelfState::Expired; }));
    ASSERT_NE(machine.device(), nullptr);
    EXPECT_EQ(machine.device()->peers.size(), 2u);
    EXPECT_EQ(machine.kernel.applied.size(), steps);
}

// F71: a machine that slept for 8 days wakes with a map that has run out. Its tenant has said that
// it is to be kept, or that its peers go until the controller has answered.
struct RunOutMap : AgentTest {
    void sleep_for_8_days(wire::MapExpiry expiry) {
        controller.issuer.maps.expiry = expiry;
        bring_up();
        ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
        controller.stop();
        wake_after(std::chrono::hours(24 * 8));
    }
    void wake_after(std::chrono::milliseconds time) {
        machine.clock.advance(time);
        const int seen = machine.kernel.observed;
        machine.agent->kernel_changed();
        ASSERT_TRUE(machine.until([&] { return machine.kernel.observed > seen; }));
    }
    void come_back() {
        controller.start();
        auto fresh =
            controller.issuer.maps.usual(7, 3, *controller.enrolment->wireguard_public_key);
        fresh.head = controller.issuer.maps.head(7, machine.clock.now());
        controller.publish(std::move(fresh));
        wake_after(std::chrono::minutes(1));
        ASSERT_TRUE(machine.until([&] { return told().empty(); }));
        ASSERT_NE(machine.device(), nullptr);
        EXPECT_EQ(machine.device()->peers.size(), 2u);
    }
    std::string told() {
        for (const auto health = machine.agent->status().self.health; const auto& item : health)
            if (item.code == "MAP_EXPIRED") return item.message;
        return "";
    }
};

TEST_F(RunOutMap, IsKeptAndSaysWhatThatMeans) {
    sleep_for_8_days(wire::MapExpiry::Keep);
    const size_t steps = machine.kernel.applied.size();
    EXPECT_EQ(told(), "the map has run out; it is kept, so a revoked peer would stay");
    EXPECT_EQ(machine.device()->peers.size(), 2u);
    come_back();
    EXPECT_EQ(machine.kernel.applied.size(), steps) << "tunnels that stood were touched";
}

TEST_F(RunOutMap, LosesItsPeersWhereItSaysSoAndHasThemBackWithTheController) {
    sleep_for_8_days(wire::MapExpiry::Drop);
    EXPECT_EQ(told(), "the map has run out; peers are dropped until the controller answers");
    ASSERT_NE(machine.device(), nullptr) << "the network is still this node's";
    EXPECT_EQ(machine.device()->peers.size(), 0u);
    // Nor does an agent that is started anew have them back from its disk.
    machine.start();
    EXPECT_EQ(machine.device()->peers.size(), 0u);
    come_back();
}

// A certificate that ran out is one whose controller can not be reached: the identity stays.
TEST_F(AgentTest, ARefusalThatIsNotAboutTheNodeLeavesItsTunnels) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    controller.refuse(403, "CERTIFICATE_EXPIRED");
    ASSERT_TRUE(machine.until([&] { return machine.state() == SelfState::ControllerUnreachable; }));
    EXPECT_NE(machine.device(), nullptr);
    machine.clock.advance(std::chrono::hours(24 * 40));
    EXPECT_EQ(machine.state(), SelfState::Expired);
    EXPECT_NE(machine.device(), nullptr);
}

// T8: two clones of a machine ended each other's queries without a pause.
TEST_F(AgentTest, ATwinOfItsIdentityMakesNoHotLoop) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    controller.has_twin = true;
    controller.refuse(409, "SESSION_REPLACED");
    controller.relent();
    ASSERT_TRUE(machine.until([&] { return machine.state() == SelfState::ControllerUnreachable; }));
    const auto queries = [&] {
        return std::count(controller.requests.begin(), controller.requests.end(),
                          "GET /api/v1/node/map");
    };
    const auto before = queries();
    for (int i = 0; i < 40; ++i) loop.run_once(std::chrono::milliseconds(10));
    // At most one short query and one held one, half a second later at the earliest.
    EXPECT_LE(queries(), before + 2);
    EXPECT_NE(machine.device(), nullptr);
    controller.has_twin = false;
    EXPECT_TRUE(machine.until([&] { return controller.held() == 1; }));
}

TEST_F(AgentTest, ABadMapIsRefusedAndTheOldOneStays) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    auto forged = controller.issuer.maps.delta(9, {MapMaker().tombstone(node_id(2), 9)});
    controller.publish(forged);
    ASSERT_TRUE(machine.until([&] {
        const auto health = machine.agent->status().self.health;
        return std::any_of(health.begin(), health.end(), [](auto& h) { return h.code == "MAP"; });
    }));
    EXPECT_EQ(machine.device()->peers.size(), 2u);
}

TEST_F(AgentTest, ALostMapTakesNothingDown) {
    bring_up();
    controller.stop();
    machine.agent.reset();
    const std::string map = machine.folder.file("state/" + kTenant + "/map.json");
    spoil(map);
    spoil(map + ".prev");
    const size_t steps = machine.kernel.applied.size();
    machine.start();
    EXPECT_EQ(machine.kernel.applied.size(), steps);
    ASSERT_NE(machine.device(), nullptr);
    EXPECT_EQ(machine.device()->peers.size(), 2u);
    EXPECT_FALSE(machine.agent->status().self.health.empty());
}

TEST_F(AgentTest, WhatIsLeftAloneKeepsNobodyElseFromBeingRepaired) {
    bring_up();
    // Of a network whose identity is gone for good: ours by its marks, wanted by nobody.
    const std::string stale = reconcile::device_name(kOther);
    machine.kernel.devices[stale] = *machine.device();
    machine.kernel.devices[stale].alias = reconcile::alias_of(kOther);
    controller.stop();
    machine.agent.reset();
    for (const char* end : {"", ".prev"})
        spoil(machine.folder.file("state/" + kTenant + "/map.json") + end);
    machine.start();
    EXPECT_FALSE(machine.kernel.devices.contains(stale));
    ASSERT_NE(machine.device(), nullptr);
    EXPECT_EQ(machine.device()->peers.size(), 2u);
}

TEST_F(AgentTest, TwoForeignHoldersOfIndexesDoNotSendItToAndFro) {
    for (const uint32_t index : {0u, 1u})
        machine.kernel.rules.push_back({reconcile::policy_rule(Family::V4, index), RTPROT_STATIC});
    bring_up();
    const int observed = machine.kernel.observed;
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    EXPECT_LT(machine.kernel.observed - observed, 10);
    EXPECT_EQ(machine.kernel.rules.back().rule.priority, reconcile::kPriorityBase + 2);
}

TEST_F(AgentTest, InAHubTheOthersAreReachedThroughTheVrouter) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.held() == 1; }));
    const auto& maps = controller.issuer.maps;
    const auto vrouter = maps.peer(node_id(2), 2, 8, wireguard_key(2), {"192.0.2.2:51820"});
    controller.publish(maps.delta(
        9, {maps.network(8, wire::Topology::Hub), maps.gateway(vrouter, {"192.168.7.0/24"})}));
    ASSERT_TRUE(machine.until([&] { return machine.device()->peers.size() == 1; }));
    EXPECT_EQ(machine.device()->peers.at(0).allowed_ips,
              (std::set{*Prefix::parse("10.100.0.0/24"), *Prefix::parse("10.100.0.2/32"),
                        *Prefix::parse("192.168.7.0/24")}));
    const auto peers = machine.agent->status().peers;
    ASSERT_EQ(peers.size(), 2u);
    EXPECT_EQ(peers[0].routes, std::vector<std::string>{"192.168.7.0/24"});
    EXPECT_EQ(peers[1].id, node_id(3));
    EXPECT_EQ(peers[1].vrouter, peers[0].name);
    EXPECT_EQ(peers[1].path, local::PathKind::None) << "the vrouter has none yet";
}

TEST_F(AgentTest, AVroutersTokenIsForThatProgramAndANodesForThis) {
    machine.config.tenants_apart = true;
    machine.start();
    local::UpRequest request;
    request.token = controller.token();
    const auto up = machine.up(request);
    ASSERT_FALSE(up);
    EXPECT_NE(up.error().error.message.find("role VROUTER"), std::string::npos);
    EXPECT_TRUE(controller.requests.empty());
}

TEST_F(AgentTest, ABadTokenLeavesAMachineDown) {
    bring_up();
    ASSERT_TRUE(machine.agent->down());
    for (const std::string& bad : {std::string("cvlan_reg_nonsense"), controller.token("")}) {
        local::UpRequest request;
        request.token = bad;  // the second is a relay's
        EXPECT_FALSE(machine.up(request));
    }
    EXPECT_EQ(machine.state(), SelfState::Down);
    EXPECT_EQ(machine.device(), nullptr);
}

TEST_F(AgentTest, ARefusedJoinLeavesAMachineThatIsDownWithoutASession) {
    bring_up();
    ASSERT_TRUE(machine.agent->down());
    local::UpRequest request;
    request.token = controller.token(kOther);  // the fake knows nothing of memberships
    ASSERT_FALSE(machine.up(request));
    EXPECT_EQ(std::count(controller.requests.begin(), controller.requests.end(),
                         "POST /api/v1/node/memberships"),
              1);
    EXPECT_EQ(machine.state(), SelfState::Down);
    EXPECT_TRUE(machine.until([&] { return controller.connections() == 0; }));
}

TEST_F(AgentTest, ARetriedEnrolmentKeepsItsPort) {
    controller.refuse(503, "UNAVAILABLE");
    machine.start();
    local::UpRequest request;
    request.token = controller.token();
    EXPECT_FALSE(machine.up(request));
    controller.relent();
    controller.publish(controller.issuer.maps.usual(1, 2, wireguard_key(1)));
    ASSERT_TRUE(machine.up(request));
    EXPECT_EQ(controller.enrolment->listen_port, 51820);
}

TEST_F(AgentTest, ATakenPortIsSteppedOverSaidAndReported) {
    machine.kernel.foreign_ports.insert(51820);
    bring_up();
    ASSERT_NE(machine.device(), nullptr);
    EXPECT_EQ(machine.device()->listen_port, 51821);
    ASSERT_TRUE(machine.until([&] {
        machine.clock.advance(std::chrono::seconds(1));
        machine.agent->kernel_changed();
        return controller.endpoints && controller.endpoints->networks.at(0).listen_port == 51821;
    }));
    EXPECT_EQ(controller.endpoints->networks[0].endpoints,
              std::vector<std::string>{"192.0.2.1:51821"});
}

TEST_F(AgentTest, TheControllerIsToldByWhichPathEachPeerIsReached) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.health.has_value(); }));
    ASSERT_EQ(controller.health->peers.size(), 2u);
    EXPECT_EQ(controller.health->peers[0].path, wire::PeerPath::None);
    ASSERT_EQ(controller.health->traffic.size(), 1u);
    EXPECT_EQ(controller.health->traffic[0].network_id, kNetwork);
    auto* peer = machine.kernel.peer(reconcile::device_name(kNetwork),
                                     *wg::PublicKey::parse(wireguard_key(2)));
    ASSERT_NE(peer, nullptr);
    peer->last_handshake = machine.clock.now();
    peer->rx_bytes = 100;
    machine.clock.advance(std::chrono::seconds(6));
    machine.agent->kernel_changed();
    ASSERT_TRUE(
        machine.until([&] { return controller.health->peers[0].path == wire::PeerPath::Direct; }));
    EXPECT_EQ(controller.health->peers[0].network_id, kNetwork);
    EXPECT_EQ(controller.health->peers[0].node_id, node_id(2));
    EXPECT_EQ(controller.health->peers[0].endpoint, "192.0.2.2:51820");
    EXPECT_EQ(controller.health->peers[1].path, wire::PeerPath::None);
    EXPECT_EQ(controller.health->traffic.at(0).received_bytes, 100);
}

// After a controller's step down.
TEST_F(AgentTest, AControllerThatCountsNoTrafficIsToldThePathsAllTheSame) {
    controller.knows_traffic = false;
    bring_up();
    ASSERT_TRUE(machine.until([&] {
        machine.clock.advance(std::chrono::seconds(1));
        machine.agent->kernel_changed();
        return controller.health.has_value();
    }));
    EXPECT_EQ(controller.health->peers.size(), 2u);
}

TEST_F(AgentTest, WhatWasCarriedIsToldAfterFiveMinutesWhereItIsNotLittle) {
    bring_up();
    ASSERT_TRUE(machine.until([&] { return controller.health.has_value(); }));
    const auto carried = [&] { return controller.health->traffic.at(0).received_bytes; };
    auto* peer = machine.kernel.peer(reconcile::device_name(kNetwork),
                                     *wg::PublicKey::parse(wireguard_key(2)));
    ASSERT_NE(peer, nullptr);
    // By the round after the one that has seen it. So long a gap is a sleep, after which the
    // session begins anew.
    const auto expect_told = [&](int64_t told, uint64_t received, std::chrono::seconds time) {
        peer->rx_bytes = received;
        machine.clock.advance(time);
        for (const int end = machine.kernel.observed + 2; machine.kernel.observed < end;) {
            machine.agent->kernel_changed();
            const int seen = machine.kernel.observed;
            EXPECT_TRUE(machine.until([&] { return machine.kernel.observed > seen; }));
        }
        EXPECT_TRUE(machine.until([&] { return machine.state() == SelfState::Connected; }));
        EXPECT_TRUE(machine.until([&] { return carried() == told; }))
            << carried() << " of " << received << " after " << time.count() << " s";
    };
    expect_told(0, 1 << 19, std::chrono::minutes(6));        // an idle network's
    expect_told(3 << 19, 3 << 19, std::chrono::seconds(6));  // a report in five seconds
    expect_told(3 << 19, 6 << 19, std::chrono::minutes(1));
    expect_told(6 << 19, 6 << 19, std::chrono::minutes(5));
}

TEST_F(AgentTest, LogoutForgetsAndSaysWhetherTheControllerDid) {
    bring_up();
    std::optional<Answer<local::LogoutResult>> answer;
    machine.agent->logout([&](auto a) { answer = std::move(a); });
    ASSERT_TRUE(machine.until([&] { return answer.has_value(); }));
    EXPECT_TRUE((*answer)->removed_at_controller);
    EXPECT_TRUE(machine.kernel.devices.empty());
    EXPECT_EQ(machine.state(), SelfState::NeedsEnrolment);
    EXPECT_FALSE(std::ifstream(identity_path()).good());
}

TEST_F(AgentTest, LogoutWithoutAControllerForgetsAllTheSame) {
    bring_up();
    controller.stop();
    std::optional<Answer<local::LogoutResult>> answer;
    machine.agent->logout([&](auto a) { answer = std::move(a); });
    ASSERT_TRUE(machine.until([&] { return answer.has_value(); }));
    EXPECT_FALSE((*answer)->removed_at_controller);
    EXPECT_FALSE((*answer)->detail.value_or("").empty());
    EXPECT_TRUE(machine.kernel.devices.empty());
    EXPECT_EQ(machine.state(), SelfState::NeedsEnrolment);
}

TEST_F(AgentTest, ALogoutThatCanNotForgetFailsAndCanBeAskedForAgain) {
    bring_up();
    std::optional<Answer<local::LogoutResult>> answer;
    {
        const Frozen frozen(machine.folder.file("state"));
        machine.agent->logout([&](auto a) { answer = std::move(a); });
        ASSERT_TRUE(machine.until([&] { return answer.has_value(); }));
    }
    ASSERT_FALSE(*answer);
    EXPECT_EQ(answer->error().status, 500);
    EXPECT_EQ(answer->error().code, "STATE_NOT_SAVED");
    EXPECT_NE(machine.state(), SelfState::NeedsEnrolment);
    answer.reset();
    machine.agent->logout([&](auto a) { answer = std::move(a); });
    ASSERT_TRUE(machine.until([&] { return answer.has_value(); }));
    EXPECT_TRUE(*answer);
    EXPECT_EQ(machine.state(), SelfState::NeedsEnrolment);
    EXPECT_FALSE(std::ifstream(identity_path()).good());
}

TEST_F(AgentTest, BootstrapPrintsThePlanAndTouchesNothing) {
    controller.publish(controller.issuer.maps.usual(5, 3, wireguard_key(99)));
    std::optional<Answer<local::PlanView>> answer;
    // A fresh process does this; here the agent has just started and done nothing yet.
    machine.agent->bootstrap(controller.token(), [&](auto a) { answer = std::move(a); });
    ASSERT_TRUE(machine.until([&] { return answer.has_value(); }));
    ASSERT_TRUE(*answer) << answer->error().error.message;
    EXPECT_FALSE((*answer)->steps.empty());
    EXPECT_TRUE(machine.kernel.applied.empty());
}

TEST_F(AgentTest, AWrongClockIsTold) {
    machine.clock.set_wall(kNow + std::chrono::hours(24 * 365));
    bring_up();
    const auto health = machine.agent->status().self.health;
    EXPECT_TRUE(
        std::any_of(health.begin(), health.end(), [](auto& h) { return h.code == "CLOCK"; }));
    EXPECT_NE(machine.device(), nullptr);
}

TEST_F(AgentTest, FindsAPeerByNameIdAndAddress) {
    bring_up();
    for (const std::string& name : {std::string("n2"), node_id(2), std::string("10.100.0.2")}) {
        auto place = machine.agent->find_peer(name);
        ASSERT_TRUE(place) << name;
        EXPECT_EQ(place->address.text(), "10.100.0.2");
    }
    EXPECT_EQ(machine.agent->find_peer("nobody").error().code, Code::NotFound);
}

TEST_F(AgentTest, OnlyRootAndItsOwnUserMayChange) {
    http::Request request;
    EXPECT_FALSE(may_change(request, 990));
    request.local = http::LocalPeer{1000, 1000, 1};
    EXPECT_FALSE(may_change(request, 990));
    request.local->uid = 990;
    EXPECT_TRUE(may_change(request, 990));
    request.local->uid = 0;
    EXPECT_TRUE(may_change(request, 990));
}

}  // namespace
}  // namespace cvlan::agent
