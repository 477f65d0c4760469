// SPDX-License-Identifier: Apache-2.0
#include "reconcile/reconciler.h"

#include <gmock/gmock.h>

#include <cerrno>

#include "tests/reconcile/samples.h"

namespace cvlan::reconcile {
namespace {

using namespace samples;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using tests::FakeHost;

Round round_of(FakeHost& host, const Desired& want, Scope scope = Scope::Everything) {
    auto round = run_round(host, want, scope);
    EXPECT_TRUE(round.has_value());
    return std::move(*round);
}

TEST(Round, AfterAConvergenceIsEmptyAndWritesNothing) {
    FakeHost host;
    const Desired want = want_peers({2, 3});
    EXPECT_THAT(round_of(host, want).failures, IsEmpty());
    host.applied.clear();
    EXPECT_TRUE(round_of(host, want).converged());
    EXPECT_TRUE(round_of(host, want, Scope::WireGuard).converged());
    EXPECT_THAT(host.applied, IsEmpty());
}

TEST(Round, OneBadPeerKeepsNoOtherDown) {
    FakeHost host;
    host.fault = [](const Step& step) -> std::optional<Error> {
        const auto* set = std::get_if<SetPeer>(&step);
        if (set == nullptr || set->key != key(3)) return std::nullopt;
        return FakeHost::error_of(EINVAL);
    };
    const Round round = round_of(host, want_peers({2, 3, 4}));
    EXPECT_NE(host.peer(kDevice, key(2)), nullptr);
    EXPECT_NE(host.peer(kDevice, key(4)), nullptr);
    EXPECT_EQ(host.rules.size(), 2u);
    ASSERT_EQ(round.failures.size(), 1u);
    EXPECT_THAT(round.problems(), ElementsAre(HasSubstr(key(3).text())));
}

TEST(Round, OfWireguardThatFindsALinkGoneLooksAtEverything) {
    FakeHost host;
    const Desired want = want_peers({2});
    round_of(host, want);
    host.remove_link(kDevice);
    const Round round = round_of(host, want, Scope::WireGuard);
    EXPECT_EQ(round.observed.scope, Scope::Everything);
    EXPECT_THAT(round.failures, IsEmpty());
    EXPECT_TRUE(round_of(host, want).converged());
}

TEST(Round, NamesAPortThatIsTakenAndSetsThePeersAllTheSame) {
    FakeHost host;
    host.foreign_ports = {51820};
    const Desired want = want_peers({2});
    const Round round = round_of(host, want);
    EXPECT_THAT(round.ports_taken, ElementsAre(PortTaken{kDevice, 51820}));
    EXPECT_NE(host.peer(kDevice, key(2)), nullptr);

    NodeConfig moved = self();
    moved.networks[kNetwork].listen_port = 51822;
    round_of(host, desired_state(map_of({map_network({2})}), moved));
    EXPECT_EQ(host.devices[kDevice].listen_port, 51822);
}

TEST(Round, TakesOverThePortOfANetworkThatIsLeft) {
    FakeHost host;
    round_of(host, want_peers({2}));
    NodeConfig config = self();
    config.networks[kOther].listen_port = 51820;
    const Round round = round_of(host, desired_state(map_of({other_network()}), config));
    EXPECT_THAT(round.failures, IsEmpty());
    EXPECT_EQ(host.devices[kOtherDevice].listen_port, 51820);
    EXPECT_FALSE(host.devices.contains(kDevice));
}

TEST(Round, ReportsAnIndexThatAForeignRuleHolds) {
    FakeHost host;
    PolicyRule foreign = policy_rule(Family::V6, 0);
    foreign.table = 254;
    host.rules.push_back({foreign, 0});
    const Round round = round_of(host, want_peers({2}));
    EXPECT_THAT(round.indexes_taken, ElementsAre(0u));
    EXPECT_EQ(host.rules.size(), 1u);
    EXPECT_THAT(host.routes, IsEmpty());
    EXPECT_FALSE(round_of(host, want_peers({2})).converged());

    NodeConfig moved = self();
    moved.networks[kNetwork].index = 5;
    const Desired want = desired_state(map_of({map_network({2})}), moved);
    EXPECT_THAT(round_of(host, want).indexes_taken, IsEmpty());
    EXPECT_TRUE(round_of(host, want).converged());
    EXPECT_EQ(host.devices[kDevice].fwmark, 0xCA000005);
    EXPECT_EQ(host.rules.front().rule, foreign);
}

TEST(Round, RevertsARuleThatDiffersOnlyInWhatTheKernelDoesNotTellApart) {
    FakeHost host;
    const Desired want = want_peers({2});
    round_of(host, want);
    host.rules[0].rule.is_inverted = false;
    EXPECT_THAT(round_of(host, want).failures, IsEmpty());
    EXPECT_TRUE(round_of(host, want).converged());
}

TEST(Round, ChangesNothingWhenTheKernelCanNotBeRead) {
    FakeHost host;
    host.observe_fault = [] { return FakeHost::error_of(EPERM); };
    const auto round = run_round(host, want_peers({2}));
    ASSERT_FALSE(round);
    EXPECT_EQ(round.error().code, Code::Denied);
    EXPECT_THAT(host.applied, IsEmpty());
}

TEST(PlanOnly, ChangesNothing) {
    FakeHost host;
    const auto plan = plan_only(host, want_peers({2}));
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->steps.size(), 9u);
    EXPECT_EQ(plan->text().find("add link"), 0u);
    EXPECT_THAT(host.applied, IsEmpty());
}

TEST(Converge, EndsWithTheFirstEmptyPlan) {
    FakeHost host;
    const auto converged = converge(host, want_peers({2}));
    ASSERT_TRUE(converged);
    EXPECT_EQ(converged->rounds, 2);
    EXPECT_EQ(converged->first_plan.steps.size(), 9u);
    EXPECT_TRUE(converged->last.converged());
}

TEST(Converge, GivesUpOnWhatFailsTheSameWayTwice) {
    FakeHost host;
    host.fault = [](const Step& step) -> std::optional<Error> {
        if (std::holds_alternative<SetRule>(step)) return FakeHost::error_of(EPERM);
        return std::nullopt;
    };
    const auto converged = converge(host, want_peers({2}), 10);
    ASSERT_TRUE(converged);
    EXPECT_EQ(converged->rounds, 3);
    EXPECT_EQ(converged->last.failures.size(), 2u);
}

// The nth step of a convergence fails: the next rounds converge all the same.
TEST(Converge, AfterAFaultInAnyStep) {
    const Desired want = want_peers({2, 3});
    FakeHost clean;
    ASSERT_TRUE(converge(clean, want));
    for (size_t nth = 0; nth < clean.applied.size(); ++nth) {
        for (const int fault : {EBUSY, ENOMEM, EPERM, EEXIST, ENODEV}) {
            FakeHost host;
            host.fault = [&](const Step&) -> std::optional<Error> {
                if (host.applied.size() != nth + 1) return std::nullopt;
                return FakeHost::error_of(fault);
            };
            const auto converged = converge(host, want, 6);
            ASSERT_TRUE(converged);
            EXPECT_TRUE(converged->last.converged()) << "step " << nth << " errno " << fault;
        }
    }
}

}  // namespace
}  // namespace cvlan::reconcile
