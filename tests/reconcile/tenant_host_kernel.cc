// SPDX-License-Identifier: Apache-2.0
// TenantHost on a real kernel: two tenants, each in a namespace of its own.
#include "reconcile/tenant_host.h"

#include <gtest/gtest.h>

#include "reconcile/reconciler.h"
#include "tests/reconcile/samples.h"
#include "tests/support/netns.h"
#include "tests/support/shell.h"

namespace cvlan::reconcile {
namespace {

using namespace samples;
using tests::output_of;

// Of tenants that no machine has.
const std::string kOne = std::string(kTenantNetns) + "0190c1a0-0000-7000-8000-0000000000a1";
const std::string kTwo = std::string(kTenantNetns) + "0190c1a0-0000-7000-8000-0000000000a2";

class TenantHostTest : public tests::InOwnNetns {
protected:
    void SetUp() override {
        tests::InOwnNetns::SetUp();
        forget();
        auto opened = TenantHost::open([this](const netlink::NetnsFd&) { ++opened_; });
        ASSERT_TRUE(opened) << opened.error().message;
        host_ = std::move(*opened);
    }
    void TearDown() override {
        host_.reset();
        forget();
    }
    static void forget() {
        for (const std::string& name : {kOne, kTwo}) (void)netlink::NetnsFd::remove(name);
    }
    // Two tenants' networks with the same addresses.
    static Desired two_tenants() {
        NodeConfig config = self();
        config.netns = kOne;
        Desired want = desired_state(map_of({map_network({2})}), config);
        model::MapNetwork other = map_network({3});
        other.id = kOther;
        config.netns = kTwo;
        want.add(desired_state(map_of({other}), config));
        return want;
    }
    std::string in(const std::string& netns, const std::string& command) {
        return output_of("ip netns exec " + netns + " " + command);
    }
    void converged(const Desired& want) {
        auto done = converge(*host_, want);
        ASSERT_TRUE(done) << done.error().message;
        for (const std::string& problem : done->last.problems()) ADD_FAILURE() << problem;
        EXPECT_TRUE(done->last.converged()) << done->last.plan.text();
    }
    std::unique_ptr<TenantHost> host_;
    int opened_ = 0;
};

TEST_F(TenantHostTest, TwoTenantsWithTheSameAddressesStandApart) {
    converged(two_tenants());
    EXPECT_EQ(opened_, 2);
    for (const auto& [netns, device] : {std::pair{kOne, kDevice}, std::pair{kTwo, kOtherDevice}}) {
        EXPECT_NE(in(netns, "ip -o addr show dev " + device).find("10.100.0.1/32"),
                  std::string::npos);
        EXPECT_NE(in(netns, "ip -o link show dev " + device).find("UP"), std::string::npos);
        EXPECT_NE(in(netns, "ip route show table all").find("10.100.0.0/16 dev " + device),
                  std::string::npos);
        EXPECT_EQ(in(netns, "cat /proc/sys/net/ipv4/ip_forward"), "1\n");
        EXPECT_EQ(in(netns, "cat /proc/sys/net/ipv6/conf/all/forwarding"), "1\n");
    }
    EXPECT_EQ(in(kTwo, "wg show interfaces"), kOtherDevice + "\n");
    EXPECT_EQ(output_of("ip -o link").find("cv"), std::string::npos) << "nothing stays outside";
}

TEST_F(TenantHostTest, TheSocketStaysWhereTheDeviceWasBorn) {
    converged(two_tenants());
    EXPECT_NE(output_of("ss -Hlun sport = :51820").find(":51820"), std::string::npos);
    EXPECT_EQ(in(kOne, "ss -Hlun"), "");
}

TEST_F(TenantHostTest, WhoStartsAnewFindsAllAsItIs) {
    const Desired want = two_tenants();
    converged(want);
    int found = 0;
    output_of("ip netns add cvlan-somebodys");
    auto again = TenantHost::open([&](const netlink::NetnsFd&) { ++found; });
    output_of("ip netns del cvlan-somebodys");
    ASSERT_TRUE(again);
    EXPECT_EQ(found, 2) << "its own, and no other that is called so";
    EXPECT_EQ(plan_only(**again, want)->text(), "");
    EXPECT_EQ(run_round(**again, want, Scope::WireGuard)->plan.text(), "");
}

TEST_F(TenantHostTest, WhatIsChangedInOneNamespaceIsPutRightThere) {
    const Desired want = two_tenants();
    converged(want);
    in(kTwo, "ip link del " + kOtherDevice);
    in(kOne, "ip rule del priority 5200");
    converged(want);
    EXPECT_NE(in(kOne, "ip rule").find("5200:"), std::string::npos);
}

TEST_F(TenantHostTest, ADeviceThatDiedOnItsWayIsInNobodysWay) {
    // Made, and not moved; moved, and not named.
    const std::string passing = "cvp" + kDevice.substr(2);
    output_of("ip link add " + passing + " type wireguard");
    converged(two_tenants());
    EXPECT_EQ(output_of("ip -o link").find(passing), std::string::npos);
}

TEST_F(TenantHostTest, AForeignDeviceIsLeftAlone) {
    const Desired want = two_tenants();
    converged(want);
    in(kOne, "ip link add site type dummy");
    converged({});
    EXPECT_NE(in(kOne, "ip -o link").find("site"), std::string::npos);
    EXPECT_EQ(in(kOne, "ip -o link").find("cv-"), std::string::npos);
    EXPECT_EQ(in(kTwo, "ip rule").find("5200"), std::string::npos);
}

TEST_F(TenantHostTest, TeardownLeavesNoNamespace) {
    converged(two_tenants());
    EXPECT_TRUE(host_->teardown().empty());
    EXPECT_EQ(output_of("ip netns").find("cvlan-0190c1a0"), std::string::npos);
}

TEST_F(TenantHostTest, AnXfrmInterfaceIsMovedToo) {
    NodeConfig config = self();
    config.networks.at(kNetwork).ipsec = true;
    config.netns = kOne;
    converged(desired_state(map_of({map_network({2})}), config));
    EXPECT_NE(in(kOne, "ip -d link show " + kXfrmDevice).find("if_id 0xca000000"),
              std::string::npos);
}

}  // namespace
}  // namespace cvlan::reconcile
