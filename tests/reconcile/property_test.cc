// SPDX-License-Identifier: Apache-2.0
// For any kernel that we, others and accidents could have left, and any map: a round or two make of
// it what is wanted, and what is foreign stays as it was.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "reconcile/reconciler.h"
#include "tests/reconcile/samples.h"

namespace cvlan::reconcile {
namespace {

using namespace samples;
using tests::FakeHost;

// RC_GTEST_PROP is not in Debian's package.
template <class Property>
void holds(Property property) {
    EXPECT_TRUE(rc::check(property));
}

bool coin() { return *rc::gen::arbitrary<bool>(); }

Desired any_desired() {
    std::vector<model::MapNetwork> networks;
    if (coin()) {
        const auto peers = *rc::gen::unique<std::vector<uint32_t>>(rc::gen::inRange(2u, 12u));
        networks.push_back(map_network(peers));
        for (auto& [id, peer] : networks.back().peers)  // an address moved to another peer
            if (coin()) peer.addresses = {address("10.100.1.0").plus(*rc::gen::inRange(1, 5))};
    }
    if (coin()) networks.push_back(other_network());
    NodeConfig config = self();
    for (auto& [id, network] : config.networks) {
        // Apart: two devices that swap ports are for the agent to sort out.
        network.listen_port = static_cast<uint16_t>((id == kNetwork ? 51820 : 51830) + coin());
        network.index = *rc::gen::inRange(0u, 4u);
        network.ipsec = coin();
        // Apart for the same reason: an interface's if_id is as much one's alone as a port.
        if (network.ipsec) network.index += id == kNetwork ? 10 : 20;
        if (coin()) network.mtu = 1300;
    }
    return desired_state(map_of(std::move(networks)), config);
}

void tamper_device(FakeHost& host, const std::string& name) {
    auto& device = host.devices[name];
    switch (*rc::gen::inRange(0, 10)) {
        case 0:
            host.remove_link(name);
            break;
        case 1:
            device.mtu = 1000;
            break;
        case 2:
            device.up = false;
            break;
        case 3:
            device.addresses.clear();
            break;
        case 4:
            device.addresses.emplace(address("10.99.99.99"), 24);
            break;
        case 5:
            device.key = key(99);
            break;
        case 6:
            device.peers.push_back({key(77), {prefix("10.100.0.2/32")}});
            break;
        case 7:
            std::reverse(device.peers.begin(), device.peers.end());
            break;
        case 8:
            if (!device.peers.empty()) device.peers.erase(device.peers.begin());
            break;
        case 9:
            if (device.if_id != 0) device.if_id = 77;
            break;
    }
}

void tamper(FakeHost& host) {
    std::vector<std::string> ours;
    for (const auto& [name, device] : host.devices)
        if (!network_of_alias(device.alias).empty()) ours.push_back(name);
    for (const std::string& name : ours)
        if (coin()) tamper_device(host, name);
    if (coin()) host.rules.clear();
    if (coin()) host.routes.clear();
    if (!host.rules.empty() && coin()) host.rules[0].rule.is_inverted ^= true;
    if (!host.routes.empty() && coin()) host.routes[0].route.source.reset();
}

// Foreign objects, in places where ours are not.
void add_foreign(FakeHost& host) {
    host.devices["wg0"] = {.mtu = 1400, .up = true, .listen_port = 4, .peers = {{key(2)}}};
    host.devices["cv-abcdefghij"] = {.alias = "not ours"};
    host.devices["ipsec0"] = {.kind = "xfrm", .if_id = kIfIdBase + 40};
    host.rules.push_back({policy_rule(Family::V4, 40), 4});
    PolicyRule elsewhere = policy_rule(Family::V4, 0);
    elsewhere.priority = 100;
    host.rules.push_back({elsewhere, kProtocol});
    host.routes.push_back(
        {device_route(254, prefix("10.100.0.0/16"), "wg0", address("1.1.1.1")), kProtocol});
}

TEST(Property, AnyMapAndAnyKernelConverge) {
    holds([] {
        FakeHost host;
        RC_ASSERT(converge(host, any_desired()).has_value());
        tamper(host);
        const Desired want = any_desired();
        const auto converged = converge(host, want, 5);
        RC_ASSERT(converged.has_value());
        RC_ASSERT(converged->last.plan.text() == std::string());
    });
}

TEST(Property, WhatIsForeignIsNeverTouched) {
    holds([] {
        FakeHost host;
        add_foreign(host);
        const FakeHost before = host;
        RC_ASSERT(converge(host, any_desired(), 5).has_value());
        RC_ASSERT(converge(host, any_desired(), 5).has_value());
        RC_ASSERT(converge(host, Desired(), 5).has_value());
        RC_ASSERT(host.rules == before.rules);
        RC_ASSERT(host.routes == before.routes);
        RC_ASSERT(host.devices.size() == before.devices.size());
        RC_ASSERT(host.devices["wg0"].peers.size() == 1u);
        RC_ASSERT(host.devices["wg0"].mtu == 1400u);
        RC_ASSERT(host.devices["ipsec0"].if_id == kIfIdBase + 40);
    });
}

// No step of a plan names a peer that is as wanted: its sessions live on.
TEST(Property, UnchangedPeersAreNotNamed) {
    holds([] {
        FakeHost host;
        const Desired want = any_desired();
        RC_ASSERT(converge(host, want, 5).has_value());
        for (auto& [name, device] : host.devices) {
            if (device.peers.empty()) continue;
            const wg::PublicKey victim = device.peers.front().key;
            device.peers.erase(device.peers.begin());
            const auto plan = plan_only(host, want);
            RC_ASSERT(plan.has_value() && plan->steps.size() == 1u);
            RC_ASSERT(std::get<SetPeer>(plan->steps[0]).key == victim);
        }
    });
}

}  // namespace
}  // namespace cvlan::reconcile
