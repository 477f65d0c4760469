// SPDX-License-Identifier: Apache-2.0
// Forwarding made possible on the relay's devices, and nowhere else.
#include "relay/host_settings.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "relay/forwarding.h"
#include "tests/support/three_netns.h"

namespace cvlan::relay {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using tests::at;
using tests::need;
using tests::ThreeNetns;
using tests::UdpSocket;

const std::set<std::string> kDevices{"ra", "rb"};

class HostSettingsKernel : public testing::Test {
protected:
    HostSettingsKernel() : forwarding_(need(Forwarding::open(net_.r), "open")) {}
    void SetUp() override {
        ASSERT_TRUE(forwarding_.install(own_));
        in_r("echo 1 > /proc/sys/net/ipv4/conf/all/send_redirects");
    }
    std::string in_r(const std::string& command) const {
        return ThreeNetns::shell(net_.r, command);
    }
    std::string setting(const std::string& path) const {
        std::string text = in_r("cat /proc/sys/" + path);
        text.pop_back();
        return text;
    }
    std::string all_settings() const {
        return in_r(
            "cd /proc/sys/net; grep -s . ipv4/conf/*/* ipv6/conf/*/* | grep -v -e secret -e "
            "nonlocal");
    }
    void put(const std::string& a, const std::string& b, const std::string& relay) {
        const Endpoint own = at(relay);
        const Pair pair{relay, own.address, own.port, at(a), at(b)};
        ASSERT_TRUE(forwarding_.put({&pair, 1}, std::chrono::seconds(300)));
    }
    // Whether what is sent from there to here arrives. The first packets wait for addresses of
    // neighbours, which IPv6 finds within two seconds of a device's start.
    bool arrives(const std::string& from, const std::string& to, const std::string& node,
                 int tries = 100) {
        const UdpSocket a(net_.a, at(from));
        const UdpSocket b(net_.b, at(node));
        for (; tries > 0; --tries)
            if (a.send("x", at(to)) && b.receive(100)) return true;
        return false;
    }
    bool never_arrives(const std::string& from, const std::string& to, const std::string& node) {
        return !arrives(from, to, node, 3);
    }

    ThreeNetns net_;
    std::vector<Address> own_{*Address::parse("10.9.0.1"), *Address::parse("fd09::1")};
    Forwarding forwarding_;
    HostSettings settings_{net_.r, forwarding_.client()};
};

TEST_F(HostSettingsKernel, OpensTheDevicesForPairsAndForNothingElse) {
    put("10.1.0.2:1", "10.2.0.2:2", "10.9.0.1:3");
    put("[fd01::2]:1", "[fd02::2]:2", "[fd09::1]:3");
    EXPECT_TRUE(never_arrives("10.1.0.2:1", "10.9.0.1:3", "10.2.0.2:2"));
    EXPECT_TRUE(never_arrives("[fd01::2]:1", "[fd09::1]:3", "[fd02::2]:2"));
    const auto changes = need(settings_.allow(kDevices, own_), "allow");
    EXPECT_THAT(changes, testing::Contains(Setting{"net/ipv4/conf/ra/forwarding", "0", "1"}));
    EXPECT_THAT(changes, testing::Contains(Setting{"net/ipv4/conf/ra/send_redirects", "1", "0"}));
    EXPECT_TRUE(arrives("10.1.0.2:1", "10.9.0.1:3", "10.2.0.2:2"));
    EXPECT_TRUE(arrives("[fd01::2]:1", "[fd09::1]:3", "[fd02::2]:2"));
    // Not a router: past the relay nothing goes from A to B.
    EXPECT_TRUE(never_arrives("10.1.0.2:1", "10.2.0.2:2", "10.2.0.2:2"));
    EXPECT_TRUE(never_arrives("[fd01::2]:1", "[fd02::2]:2", "[fd02::2]:2"));
    EXPECT_EQ(setting("net/ipv4/conf/lo/forwarding"), "0");
    EXPECT_EQ(setting("net/ipv4/conf/lo/send_redirects"), "1");
}

TEST_F(HostSettingsKernel, ChangesNothingTheSecondTimeAndMendsWhatSomebodyChanged) {
    ASSERT_THAT(need(settings_.allow(kDevices, own_), "allow"), Not(IsEmpty()));
    EXPECT_THAT(need(settings_.allow(kDevices, own_), "again"), IsEmpty());
    in_r("echo 0 > /proc/sys/net/ipv4/conf/rb/forwarding");
    const std::vector<Setting> mended{{"net/ipv4/conf/rb/forwarding", "0", "1"}};
    EXPECT_EQ(need(settings_.allow(kDevices, own_), "mend"), mended);
}

TEST_F(HostSettingsKernel, GivesBackWhatItChanged) {
    const std::string before = all_settings();
    ASSERT_THAT(need(settings_.allow(kDevices, own_), "allow"), Not(IsEmpty()));
    EXPECT_NE(all_settings(), before);
    auto again = need(Forwarding::open(net_.r), "another process");
    HostSettings theirs(net_.r, again.client());
    EXPECT_THAT(need(theirs.restore(), "restore"), Not(IsEmpty()));
    EXPECT_EQ(all_settings(), before);
    ASSERT_TRUE(again.uninstall());
    EXPECT_THAT(in_r("nft list ruleset"), IsEmpty());
}

TEST_F(HostSettingsKernel, WhatSomebodyElseSetMeanwhileStays) {
    ASSERT_THAT(need(settings_.allow(kDevices, own_), "allow"), Not(IsEmpty()));
    in_r("echo 1 > /proc/sys/net/ipv4/conf/ra/send_redirects");
    in_r("echo 1 > /proc/sys/net/ipv4/ip_forward");
    // Now the machine is a router by somebody's will, and the guard does not stand in its way.
    (void)need(settings_.allow({}, own_), "allow");
    EXPECT_TRUE(arrives("10.1.0.2:1", "10.2.0.2:2", "10.2.0.2:2"));
    (void)need(settings_.restore(), "restore");
    EXPECT_EQ(setting("net/ipv4/conf/ra/forwarding"), "1");
    EXPECT_EQ(setting("net/ipv4/conf/ra/send_redirects"), "1");
}

TEST_F(HostSettingsKernel, AHostThatListensToRoutersGoesOnToDoSo) {
    in_r("echo 1 > /proc/sys/net/ipv6/conf/ra/accept_ra");
    (void)need(settings_.allow({"ra"}, own_), "allow");
    const bool is_router = setting("net/ipv6/conf/ra/forwarding") == "1";
    EXPECT_EQ(setting("net/ipv6/conf/ra/accept_ra"), is_router ? "2" : "1");
    (void)need(settings_.restore(), "restore");
    EXPECT_EQ(setting("net/ipv6/conf/ra/accept_ra"), "1");
}

TEST_F(HostSettingsKernel, FindsTheDevicesOfItsAddresses) {
    const std::vector<Address> own{*Address::parse("10.1.0.1"), *Address::parse("fd02::1"),
                                   *Address::parse("10.9.0.1")};
    EXPECT_EQ(need(settings_.devices_of(own), "devices"), kDevices);
    EXPECT_THAT(need(settings_.devices_of({}), "devices"), IsEmpty());
}

TEST_F(HostSettingsKernel, ADeviceThatIsNotThereIsAnErrorThatNamesIt) {
    const auto refused = settings_.allow({"no-such"}, own_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::NotFound);
    EXPECT_THAT(refused.error().message, HasSubstr("no-such"));
}

}  // namespace
}  // namespace cvlan::relay
