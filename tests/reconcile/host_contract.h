// SPDX-License-Identifier: Apache-2.0
#pragma once

// What every Host keeps to: run against FakeHost in reconcile_test and against KernelHost, on a
// real kernel, in reconcile_kernel. `Made` makes a host and plays the part of others on its
// machine.

#include <gtest/gtest.h>

#include <cerrno>

#include "reconcile/reconciler.h"
#include "tests/reconcile/samples.h"

namespace cvlan::reconcile {

using namespace samples;

template <class Made>
class HostContract : public ::testing::Test {
protected:
    void SetUp() override { made_.set_up(); }
    Host& host() { return made_.host(); }
    Observed observe(const Desired& want) {
        auto have = host().observe(want, Scope::Everything);
        EXPECT_TRUE(have.has_value()) << have.error().message;
        return have ? std::move(*have) : Observed();
    }
    std::string plan(const Desired& want) { return diff(want, observe(want)).text(); }
    // Applies and expects no failure.
    void apply(const std::vector<Step>& steps) {
        for (const StepFailure& failure : host().apply(steps))
            ADD_FAILURE() << text(steps[failure.index]) << ": " << failure.error.message;
    }
    Error failure_of(const Step& step) {
        auto failures = host().apply({&step, 1});
        EXPECT_EQ(failures.size(), 1u) << text(step);
        return failures.empty() ? Error{} : failures[0].error;
    }
    Desired bring_up(const std::vector<uint32_t>& peers = {2, 3}) {
        Desired want = want_peers(peers);
        apply(diff(want, observe(want)).steps);
        return want;
    }
    Made made_;
};
TYPED_TEST_SUITE_P(HostContract);

TYPED_TEST_P(HostContract, SeesNothingWhereNothingIsOurs) {
    const Observed have = this->observe(want_peers({2}));
    EXPECT_TRUE(have.links.empty() && have.addresses.empty() && have.wireguard.empty());
    EXPECT_TRUE(have.routes.empty() && have.rules.empty() && have.foreign.empty());
}

TYPED_TEST_P(HostContract, AnAppliedPlanIsFollowedByAnEmptyOne) {
    const Desired want = this->bring_up();
    EXPECT_EQ(this->plan(want), "");
    auto small = this->host().observe(want, Scope::WireGuard);
    ASSERT_TRUE(small.has_value());
    EXPECT_TRUE(diff(want, *small).empty());
    EXPECT_TRUE(small->addresses.empty() && small->routes.empty() && small->rules.empty());
    EXPECT_EQ(small->links.size(), 1u);
}

TYPED_TEST_P(HostContract, SeesWhatWasSet) {
    const Desired want = this->bring_up({2});
    const Observed have = this->observe(want);
    EXPECT_EQ(have.links, (std::vector<ObservedLink>{{kDevice, kNetwork, 1420, true}}));
    EXPECT_EQ(have.addresses, want.addresses);
    EXPECT_EQ(have.routes, want.routes);
    EXPECT_EQ(have.rules, want.rules);
    ASSERT_EQ(have.wireguard.size(), 1u);
    EXPECT_EQ(have.wireguard[0].public_key, device_key(1).public_key());
    EXPECT_TRUE(have.wireguard[0].private_key.empty());
    ASSERT_EQ(have.wireguard[0].peers.size(), 1u);
    EXPECT_EQ(have.wireguard[0].peers[0].public_key, key(2));
    EXPECT_EQ(have.wireguard[0].peers[0].endpoint, endpoint("192.0.2.2:51820"));
}

TYPED_TEST_P(HostContract, WhatIsNotWantedAnyMoreIsGone) {
    this->bring_up();
    this->apply(diff(Desired(), this->observe(Desired())).steps);
    const Observed have = this->observe(Desired());
    EXPECT_TRUE(have.links.empty() && have.routes.empty() && have.rules.empty());
}

TYPED_TEST_P(HostContract, RemovingWhatIsNotThereIsSuccess) {
    const Desired want = want_peers({2});
    std::vector<Step> steps{RemoveRule{want.rules[0]}, RemoveRoute{want.routes[0]},
                            RemovePeer{kDevice, key(2)}, RemoveAddress{want.addresses[0]},
                            RemoveLink{kDevice}};
    this->apply(steps);
    this->bring_up({2});
    this->apply({RemovePeer{kDevice, key(9)}});
    this->apply({RemoveAddress{{kDevice, address("10.100.0.9"), 32}}});
    EXPECT_EQ(this->plan(want), "");
}

TYPED_TEST_P(HostContract, AddingWhatIsThereIsExists) {
    const Desired want = this->bring_up({2});
    const Step link = SetLink{.device = kDevice, .network_id = kNetwork, .up = true};
    for (const Step& step :
         {link, Step(SetAddress{want.addresses[0]}), Step(SetAddress{want.addresses[1]}),
          Step(SetRoute{want.routes[0]}), Step(SetRoute{want.routes[1]}),
          Step(SetRule{want.rules[0]}), Step(SetRule{want.rules[1]})}) {
        EXPECT_EQ(this->failure_of(step).sys_errno, EEXIST) << text(step);
    }
    EXPECT_EQ(this->plan(want), "");
}

TYPED_TEST_P(HostContract, AFailureDoesNotStopTheStepsBehindIt) {
    const Desired want = want_peers({2});
    const std::vector<Step> steps{
        SetAddress{want.addresses[0]},  // there is no such device yet
        SetPeer{.device = kDevice, .key = key(2), .is_new = true},
        SetLink{.device = kDevice, .network_id = kNetwork, .mtu = 1420, .up = true},
        SetAddress{want.addresses[1]}};
    const auto failures = this->host().apply(steps);
    ASSERT_EQ(failures.size(), 2u);
    EXPECT_EQ(failures[0].index, 0u);
    EXPECT_EQ(failures[0].error.code, Code::NotFound);
    EXPECT_EQ(failures[1].index, 1u);
    EXPECT_EQ(this->observe(want).addresses.size(), 1u);
}

TYPED_TEST_P(HostContract, AStepOnAForeignDeviceFailsAndLeavesIt) {
    this->made_.add_foreign_link(kDevice);
    const std::string before = this->made_.foreign_state();
    const Desired want = want_peers({2});
    for (const Step& step :
         {Step(SetAddress{want.addresses[0]}), Step(RemoveAddress{want.addresses[0]}),
          Step(SetPeer{.device = kDevice, .key = key(2), .is_new = true}),
          Step(RemovePeer{kDevice, key(2)}), Step(RemoveLink{kDevice}),
          Step(SetDevice{.device = kDevice, .fwmark = 1})}) {
        EXPECT_EQ(this->failure_of(step).code, Code::Conflict) << text(step);
    }
    EXPECT_EQ(this->made_.foreign_state(), before);
}

TYPED_TEST_P(HostContract, NamesAForeignDeviceInTheWay) {
    this->made_.add_foreign_link(kDevice);
    const std::string before = this->made_.foreign_state();
    const Desired want = want_peers({2});
    const Observed have = this->observe(want);
    ASSERT_EQ(have.foreign.size(), 1u);
    EXPECT_EQ(have.foreign[0].device, kDevice);
    EXPECT_NE(have.foreign[0].what.find(kDevice + " "), std::string::npos);
    auto round = run_round(this->host(), want);
    ASSERT_TRUE(round.has_value());
    EXPECT_FALSE(round->converged());
    EXPECT_EQ(this->made_.foreign_state(), before);
}

TYPED_TEST_P(HostContract, AForeignRuleOrRouteTakesTheIndex) {
    this->made_.add_foreign_rule(5200, 254);
    Desired want = want_peers({2});
    EXPECT_TRUE(this->observe(want).is_index_taken(0));
    NodeConfig config = self();
    config.networks[kNetwork].index = 3;
    want = desired_state(map_of({map_network({2})}), config);
    EXPECT_FALSE(this->observe(want).is_index_taken(3));
    this->made_.add_foreign_route(52003, "192.0.2.0/24");
    EXPECT_TRUE(this->observe(want).is_index_taken(3));
}

TYPED_TEST_P(HostContract, ARenamedDeviceGetsItsNameBack) {
    const Desired want = this->bring_up();
    this->made_.rename_link(kDevice, "wg9");
    ASSERT_EQ(this->observe(want).links.size(), 1u);
    EXPECT_EQ(this->observe(want).links[0].device, "wg9");
    auto converged = converge(this->host(), want);
    ASSERT_TRUE(converged.has_value());
    EXPECT_TRUE(converged->last.converged()) << converged->last.plan.text();
    EXPECT_EQ(this->observe(want).links,
              (std::vector<ObservedLink>{{kDevice, kNetwork, 1420, true}}));
}

TYPED_TEST_P(HostContract, ALinkThatWasSetDownIsWholeAgain) {
    const Desired want = this->bring_up();
    this->made_.set_down(kDevice);
    EXPECT_TRUE(this->observe(want).routes.empty());
    const Plan plan = diff(want, this->observe(want));
    this->apply(plan.steps);
    EXPECT_EQ(this->plan(want), "");
    for (const Step& step : plan.steps) EXPECT_FALSE(std::holds_alternative<SetPeer>(step));
}

TYPED_TEST_P(HostContract, AnAllowedIpHasOneOwner) {
    this->bring_up({2});
    this->apply({SetPeer{.device = kDevice,
                         .key = key(3),
                         .is_new = true,
                         .allowed_ips = std::vector{prefix("10.100.0.2/32")}}});
    const Observed have = this->observe(want_peers({2}));
    ASSERT_EQ(have.wireguard[0].peers.size(), 2u);
    for (const wg::Peer& peer : have.wireguard[0].peers)
        EXPECT_EQ(peer.allowed_ips.size(), 1u) << peer.public_key.text();
}

TYPED_TEST_P(HostContract, AChangeOfAPeerThatWentDoesNotBringItBack) {
    this->bring_up({2});
    this->apply({SetPeer{.device = kDevice, .key = key(9), .keepalive_seconds = 25}});
    EXPECT_EQ(this->observe(want_peers({2})).wireguard[0].peers.size(), 1u);
}

TYPED_TEST_P(HostContract, APortThatIsTakenIsExists) {
    this->made_.hold_port(51820);
    const Desired want = want_peers({2});
    auto round = run_round(this->host(), want);
    ASSERT_TRUE(round.has_value());
    EXPECT_EQ(round->ports_taken, (std::vector<PortTaken>{{kDevice, 51820}}));
    ASSERT_FALSE(round->failures.empty());
    EXPECT_EQ(round->failures[0].error.code, Code::Exists);
}

TYPED_TEST_P(HostContract, APortIsTakenOverFromANetworkThatIsLeft) {
    this->bring_up({2});
    NodeConfig config = self();
    config.networks[kOther].listen_port = 51820;
    const Desired want = desired_state(map_of({other_network()}), config);
    auto round = run_round(this->host(), want);
    ASSERT_TRUE(round.has_value());
    EXPECT_TRUE(round->failures.empty()) << round->problems()[0];
    EXPECT_EQ(this->plan(want), "");
}

TYPED_TEST_P(HostContract, ARouteOfOursIsReplaced) {
    Desired want = this->bring_up({2});
    model::MapNetwork network = map_network({2});
    network.self.addresses = {address("10.100.0.77"), address("fd00:100::77")};
    want = desired_state(map_of({network}), self());
    const Plan plan = diff(want, this->observe(want));
    this->apply(plan.steps);
    EXPECT_EQ(this->plan(want), "");
    EXPECT_EQ(this->observe(want).routes, want.routes);
}

TYPED_TEST_P(HostContract, TwoNetworksStandSideBySide) {
    const Desired want = desired_state(map_of({map_network({2}), other_network()}), self());
    this->apply(diff(want, this->observe(want)).steps);
    EXPECT_EQ(this->plan(want), "");
    EXPECT_EQ(this->observe(want).links.size(), 2u);
}

// --- a network whose packets go by IPsec ---

TYPED_TEST_P(HostContract, ANetworkOverIpsecHasAnInterfaceAndAGuard) {
    const Desired want = want_ipsec(0);
    this->apply(diff(want, this->observe(want)).steps);
    EXPECT_EQ(this->plan(want), "");
    const Observed have = this->observe(want);
    EXPECT_EQ(have.links,
              (std::vector<ObservedLink>{{kXfrmDevice, kNetwork, 1414, true, 0xca000000}}));
    EXPECT_EQ(have.addresses, want.addresses);
    EXPECT_EQ(have.routes, want.routes);
    EXPECT_TRUE(have.wireguard.empty());
    auto small = this->host().observe(want, Scope::WireGuard);
    ASSERT_TRUE(small.has_value());
    EXPECT_TRUE(diff(want, *small).empty());
    this->apply(diff(Desired(), this->observe(Desired())).steps);
    const Observed none = this->observe(Desired());
    EXPECT_TRUE(none.links.empty() && none.routes.empty() && none.rules.empty());
}

TYPED_TEST_P(HostContract, TheGuardStaysWhereTheInterfaceGoes) {
    const Desired want = want_ipsec(0);
    this->apply(diff(want, this->observe(want)).steps);
    this->made_.remove_link(kXfrmDevice);
    const Observed have = this->observe(want);
    EXPECT_TRUE(have.links.empty());
    ASSERT_EQ(have.routes.size(), 2u);
    for (const DeviceRoute& route : have.routes) EXPECT_EQ(route.device, "");
    EXPECT_EQ(have.rules, want.rules);
    auto converged = converge(this->host(), want);
    ASSERT_TRUE(converged.has_value());
    EXPECT_TRUE(converged->last.converged()) << converged->last.plan.text();
    this->made_.set_down(kXfrmDevice);
    EXPECT_EQ(this->observe(want).routes, have.routes);
    this->apply(diff(want, this->observe(want)).steps);
    EXPECT_EQ(this->plan(want), "");
}

TYPED_TEST_P(HostContract, AForeignInterfaceTakesTheIndexByItsIfId) {
    this->made_.add_foreign_xfrm("ipsec0", 0xca000000);
    const Desired want = want_ipsec(0);
    EXPECT_TRUE(this->observe(want).is_index_taken(0));
    EXPECT_EQ(this->plan(want).find("add link"), std::string::npos);
    EXPECT_FALSE(this->observe(want_ipsec(3)).is_index_taken(3));
    EXPECT_TRUE(this->observe(want_peers({2})).foreign.empty());
}

TYPED_TEST_P(HostContract, AnInterfaceGetsTheNumberOfItsNewIndex) {
    Desired want = want_ipsec(0);
    this->apply(diff(want, this->observe(want)).steps);
    want = want_ipsec(3);
    const Plan plan = diff(want, this->observe(want));
    EXPECT_EQ(plan.lines().at(0), "set link " + kXfrmDevice + " if_id 0xca000003");
    this->apply(plan.steps);
    EXPECT_EQ(this->plan(want), "");
    EXPECT_EQ(this->observe(want).addresses, want.addresses);
}

TYPED_TEST_P(HostContract, ANetworkGoesFromOneDataPlaneToTheOther) {
    const Desired wireguard = this->bring_up({2});
    const Desired ipsec = want_ipsec(0);
    for (const Desired& want : {ipsec, wireguard}) {
        const Plan plan = diff(want, this->observe(want));
        // What it leaves goes last.
        EXPECT_EQ(text(plan.steps.front()).substr(0, 8), "add link");
        EXPECT_EQ(text(plan.steps.back()).substr(0, 11), "remove link");
        this->apply(plan.steps);
        EXPECT_EQ(this->plan(want), "");
        EXPECT_EQ(this->observe(want).links.size(), 1u);
    }
}

TYPED_TEST_P(HostContract, ARenamedInterfaceGetsItsNameBack) {
    const Desired want = want_ipsec(0);
    this->apply(diff(want, this->observe(want)).steps);
    this->made_.rename_link(kXfrmDevice, "ipsec9");
    auto converged = converge(this->host(), want);
    ASSERT_TRUE(converged.has_value());
    EXPECT_TRUE(converged->last.converged()) << converged->last.plan.text();
    EXPECT_EQ(this->observe(want).links.at(0).device, kXfrmDevice);
}

REGISTER_TYPED_TEST_SUITE_P(
    HostContract, SeesNothingWhereNothingIsOurs, AnAppliedPlanIsFollowedByAnEmptyOne,
    SeesWhatWasSet, WhatIsNotWantedAnyMoreIsGone, RemovingWhatIsNotThereIsSuccess,
    AddingWhatIsThereIsExists, AFailureDoesNotStopTheStepsBehindIt,
    AStepOnAForeignDeviceFailsAndLeavesIt, NamesAForeignDeviceInTheWay,
    AForeignRuleOrRouteTakesTheIndex, ARenamedDeviceGetsItsNameBack,
    ALinkThatWasSetDownIsWholeAgain, AnAllowedIpHasOneOwner,
    AChangeOfAPeerThatWentDoesNotBringItBack, APortThatIsTakenIsExists,
    APortIsTakenOverFromANetworkThatIsLeft, ARouteOfOursIsReplaced, TwoNetworksStandSideBySide,
    ANetworkOverIpsecHasAnInterfaceAndAGuard, TheGuardStaysWhereTheInterfaceGoes,
    AForeignInterfaceTakesTheIndexByItsIfId, AnInterfaceGetsTheNumberOfItsNewIndex,
    ANetworkGoesFromOneDataPlaneToTheOther, ARenamedInterfaceGetsItsNameBack);

}  // namespace cvlan::reconcile
