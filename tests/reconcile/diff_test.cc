// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "reconcile/plan.h"
#include "reconcile/reconciler.h"
#include "tests/reconcile/samples.h"

namespace cvlan::reconcile {

void PrintTo(const Step& step, std::ostream* out) { *out << text(step); }

namespace {

using namespace samples;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using tests::FakeHost;

// A kernel which holds what `want` wants.
FakeHost holding(const Desired& want) {
    FakeHost host;
    EXPECT_TRUE(converge(host, want).has_value());
    host.applied.clear();
    return host;
}

Plan plan_of(FakeHost& host, const Desired& want, Scope scope = Scope::Everything) {
    return diff(want, host.observe(want, scope).value());
}

TEST(Diff, OfAgreementIsEmpty) {
    const Desired want = want_peers({2, 3, 4});
    FakeHost host = holding(want);
    EXPECT_THAT(plan_of(host, want).steps, IsEmpty());
    EXPECT_THAT(plan_of(host, want, Scope::WireGuard).steps, IsEmpty());
}

TEST(Diff, OfNothingWantedAndNothingThereIsEmpty) {
    FakeHost host;
    EXPECT_THAT(plan_of(host, Desired()).steps, IsEmpty());
}

TEST(Diff, FromNothingGoesFromLinkToRule) {
    FakeHost host;
    const Plan plan = plan_of(host, want_peers({2}));
    EXPECT_THAT(
        plan.lines(),
        ElementsAre("add link " + kDevice + " kind wireguard mtu 1420 up",
                    "set address " + kDevice + " 10.100.0.1/32",
                    "set address " + kDevice + " fd00:100::1/128",
                    "set wireguard " + kDevice + " key " + device_key(1).public_key().text() +
                        " port 51820 fwmark 0xca000000",
                    "set peer " + kDevice + " " + key(2).text() +
                        " allowed 10.100.0.2/32,fd00:100::2/128 endpoint 192.0.2.2:51820",
                    "set route 10.100.0.0/16 table 52000 dev " + kDevice + " src 10.100.0.1",
                    "set route fd00:100::/64 table 52000 dev " + kDevice + " src fd00:100::1",
                    "set rule ipv4 5200 not fwmark 0xca000000/0xff000000 lookup 52000",
                    "set rule ipv6 5200 not fwmark 0xca000000/0xff000000 lookup 52000"));
}

TEST(Diff, ToNothingGoesFromRuleToLink) {
    FakeHost host = holding(want_peers({2}));
    EXPECT_THAT(
        plan_of(host, Desired()).lines(),
        ElementsAre("remove rule ipv4 5200 not fwmark 0xca000000/0xff000000 lookup 52000",
                    "remove rule ipv6 5200 not fwmark 0xca000000/0xff000000 lookup 52000",
                    "remove route 10.100.0.0/16 table 52000 dev " + kDevice + " src 10.100.0.1",
                    "remove route fd00:100::/64 table 52000 dev " + kDevice + " src fd00:100::1",
                    "remove link " + kDevice));
}

TEST(Diff, SetsBeforeItRemoves) {
    FakeHost host = holding(want_peers({2}));
    const Desired want = want_peers({3});
    const std::vector<Step> expected{new_peer(kDevice, want.wireguard[0].peers[0]),
                                     RemovePeer{kDevice, key(2)}};
    EXPECT_EQ(plan_of(host, want).steps, expected);
}

TEST(Diff, TouchesOnlyThePeerThatDiffers) {
    FakeHost host = holding(want_peers({2, 3, 4}));
    host.peer(kDevice, key(3))->allowed_ips.clear();
    const std::vector<Step> expected{
        SetPeer{.device = kDevice,
                .key = key(3),
                .allowed_ips = std::vector{prefix("10.100.0.3/32"), prefix("fd00:100::3/128")}}};
    EXPECT_EQ(plan_of(host, want_peers({2, 3, 4})).steps, expected);
}

TEST(Diff, LeavesARoamedEndpointCountersAndHandshakesAlone) {
    const Desired want = want_peers({2});
    FakeHost host = holding(want);
    auto* peer = host.peer(kDevice, key(2));
    peer->endpoint = endpoint("203.0.113.9:4444");
    peer->rx_bytes = peer->tx_bytes = 1000;
    peer->last_handshake = from_unix_ms(1);
    EXPECT_THAT(plan_of(host, want).steps, IsEmpty());
}

TEST(Diff, MovesAnEndpointWhenReachWantsItMoved) {
    NodeConfig config = self();
    config.networks[kNetwork].peers[key(2)] = {.endpoint = endpoint("198.51.100.7:1000"),
                                               .move_endpoint = true};
    FakeHost host = holding(want_peers({2}));
    const Desired want = desired_state(map_of({map_network({2})}), config);
    EXPECT_THAT(
        plan_of(host, want).lines(),
        ElementsAre("set peer " + kDevice + " " + key(2).text() + " endpoint 198.51.100.7:1000"));
}

TEST(Diff, GivesAPeerWithoutAnEndpointOne) {
    const Desired want = want_peers({2});
    FakeHost host = holding(want);
    host.peer(kDevice, key(2))->endpoint.reset();
    EXPECT_EQ(plan_of(host, want).steps.size(), 1u);
}

TEST(Diff, TakesBackAPresharedKeyThatNobodyOfUsSet) {
    const Desired want = want_peers({2});
    FakeHost host = holding(want);
    host.peer(kDevice, key(2))->has_preshared_key = true;
    EXPECT_THAT(plan_of(host, want).lines(), ElementsAre("set peer " + kDevice + " " +
                                                         key(2).text() + " without preshared key"));
}

TEST(Diff, RevertsKeyPortAndMarkOfTheDeviceAlone) {
    const Desired want = want_peers({2});
    FakeHost host = holding(want);
    host.devices[kDevice].fwmark = 7;
    host.devices[kDevice].key = key(9);
    host.devices[kDevice].listen_port = 4;
    const std::vector<Step> expected{SetDevice{
        .device = kDevice, .key = device_key(1), .listen_port = 51820, .fwmark = 0xCA000000}};
    EXPECT_EQ(plan_of(host, want).steps, expected);
}

TEST(Diff, DoesNotDependOnTheOrderInWhichTheKernelKeepsPeers) {
    const Desired want = want_peers({2, 3, 4});
    FakeHost host = holding(want);
    std::reverse(host.devices[kDevice].peers.begin(), host.devices[kDevice].peers.end());
    EXPECT_THAT(plan_of(host, want).steps, IsEmpty());
}

TEST(Diff, FollowsARenamedDevice) {
    const Desired want = want_peers({2});
    FakeHost host = holding(want);
    host.devices["wg9"] = std::move(host.devices.extract(kDevice).mapped());
    for (auto& route : host.routes) route.route.device = "wg9";
    const Plan plan = plan_of(host, want);
    ASSERT_FALSE(plan.empty());
    EXPECT_EQ(text(plan.steps[0]), "set link wg9 name " + kDevice + " up");
    for (const Step& step : plan.steps) EXPECT_FALSE(is_removal(step)) << text(step);
}

TEST(Diff, RemovesADuplicateOfADeviceByItsMark) {
    const Desired want = want_peers({2});
    FakeHost host = holding(want);
    host.devices["wg9"] = host.devices[kDevice];
    host.devices["wg9"].addresses.clear();
    EXPECT_THAT(plan_of(host, want).lines(), ElementsAre("remove link wg9"));
}

TEST(Diff, PlansNothingOnADeviceWhoseNameIsForeign) {
    FakeHost host;
    host.devices[kDevice] = {.kind = "dummy"};
    const Desired want = want_peers({2});
    const Plan plan = plan_of(host, want);
    for (const Step& step : plan.steps)
        EXPECT_TRUE(std::holds_alternative<SetRule>(step)) << text(step);
    EXPECT_TRUE(host.observe(want, Scope::Everything)->is_device_taken(kDevice));
}

TEST(Diff, PutsNothingBesideAForeignRule) {
    FakeHost host = holding(Desired());
    PolicyRule foreign = policy_rule(Family::V4, 0);
    foreign.is_inverted = false;
    host.rules.push_back({foreign, 4});
    const Desired want = want_peers({2});
    for (const Step& step : plan_of(host, want).steps) {
        EXPECT_FALSE(std::holds_alternative<SetRule>(step)) << text(step);
        EXPECT_FALSE(std::holds_alternative<SetRoute>(step)) << text(step);
    }
}

TEST(Diff, InTheSmallScopeComparesLinksAndPeersAlone) {
    const Desired want = want_peers({2});
    FakeHost host = holding(want);
    host.rules.clear();
    host.devices[kDevice].addresses.clear();
    EXPECT_THAT(plan_of(host, want, Scope::WireGuard).steps, IsEmpty());
    EXPECT_EQ(plan_of(host, want).steps.size(), 4u);
}

TEST(Diff, RemovesAnAddressThatLeftTheMapAfterTheNewOneStands) {
    FakeHost host = holding(want_peers({2}));
    model::MapNetwork network = map_network({2});
    network.self.addresses[0] = address("10.100.0.77");
    const Desired want = desired_state(map_of({network}), self());
    EXPECT_THAT(
        plan_of(host, want).lines(),
        ElementsAre("set address " + kDevice + " 10.100.0.77/32",
                    "set route 10.100.0.0/16 table 52000 dev " + kDevice + " src 10.100.0.77",
                    "remove address " + kDevice + " 10.100.0.1/32"));
}

TEST(StepText, NeverHasThePrivateKey) {
    const DeviceKey secret = device_key(1);
    const std::string line = text(SetDevice{.device = kDevice, .key = secret});
    EXPECT_EQ(line.find(wg::secret_key_text(secret.private_key()).reveal()), std::string::npos);
    EXPECT_NE(line.find(secret.public_key().text()), std::string::npos);
}

TEST(DeviceKey, ComparesByItsPublicKeyAndCopiesWhole) {
    const DeviceKey one = device_key(1);
    const DeviceKey copy = one;
    EXPECT_EQ(one, copy);
    EXPECT_EQ(one.private_key(), copy.private_key());
    EXPECT_FALSE(one == device_key(2));
}

}  // namespace
}  // namespace cvlan::reconcile
