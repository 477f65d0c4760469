// SPDX-License-Identifier: Apache-2.0
// The real PairHost in a machine of its own: it finds the machine's addresses, switches forwarding
// on, and puts pairs that another life of the relay finds again.
#include "relay/kernel_pair_host.h"

#include <gmock/gmock.h>

#include "tests/support/three_netns.h"

namespace cvlan::relay {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using tests::at;
using tests::need;
using tests::ThreeNetns;
using tests::UdpSocket;

PairId id_of(uint8_t number) {
    PairId id{};
    id.fill(number);
    return id;
}
const ForwardedPair kV4{id_of(4), at("10.9.0.1:1").address, 49152, at("10.1.0.2:51820"),
                        at("10.2.0.2:51821")};
const ForwardedPair kV6{id_of(6), at("[fd09::1]:1").address, 49152, at("[fd01::2]:51820"),
                        at("[fd02::2]:51821")};

class KernelPairHostKernel : public testing::Test {
protected:
    // Opened, and looked after, where the process is: it reads the addresses of its own machine.
    void open(bool sets_forwarding = true) {
        host_.reset();
        in_r([&]() -> Result<void> {
            auto made = KernelPairHost::open(net_.r, sets_forwarding);
            if (!made) return failed(made.error());
            host_ = std::move(*made);
            return {};
        });
    }
    void look() {
        in_r([&] { return host_->look(); });
    }
    void in_r(const std::function<Result<void>()>& work) {
        const auto done = net_.r.run(work);
        ASSERT_TRUE(done) << done.error().message;
    }
    std::string shell(const std::string& command) const {
        return ThreeNetns::shell(net_.r, command);
    }
    void put(const ForwardedPair& pair) {
        const auto done = host_->put_pair(pair, std::nullopt);
        ASSERT_TRUE(done) << done.error().message;
    }
    // Both ways. The first packets wait for the neighbours' addresses.
    bool passes(const ForwardedPair& pair, int tries = 100) {
        const Endpoint relay{pair.own, pair.port};
        const UdpSocket a(net_.a, pair.first), b(net_.b, pair.second);
        for (; tries > 0; --tries)
            if (a.send("x", relay) && b.receive(100) == UdpSocket::Datagram{"x", relay} &&
                b.send("y", relay) && a.receive(100) == UdpSocket::Datagram{"y", relay})
                return true;
        return false;
    }

    ThreeNetns net_;
    std::unique_ptr<KernelPairHost> host_;
};

TEST_F(KernelPairHostKernel, ForwardsAPairOfEachFamilyOnAMachineThatForwardedNothing) {
    open();
    put(kV4);
    put(kV6);
    EXPECT_TRUE(passes(kV4));
    EXPECT_TRUE(passes(kV6));
    const auto counted = need(host_->pairs(), "pairs");
    ASSERT_EQ(counted.size(), 2u);
    for (const PairCount& one : counted) {
        EXPECT_EQ(one.pair, one.pair.id == kV4.id ? kV4 : kV6);
        EXPECT_GE(one.packets, 2u);
    }
    ASSERT_TRUE(host_->remove_pair(kV4));
    EXPECT_FALSE(passes(kV4, 3));
    EXPECT_TRUE(host_->remove_pair(kV4)) << "what is gone is gone";
    EXPECT_TRUE(host_->refresh(kV4)) << "and made anew";
    EXPECT_TRUE(passes(kV4));
}

TEST_F(KernelPairHostKernel, FindsThePairsOfAnEarlierLifeRunning) {
    open();
    put(kV4);
    open();
    const auto found = need(host_->pairs(), "pairs");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].pair, kV4);
    EXPECT_TRUE(host_->refresh(kV4));
    EXPECT_TRUE(passes(kV4));
}

TEST_F(KernelPairHostKernel, PutsAPairInThePlaceOfAnother) {
    open();
    ForwardedPair before = kV4;
    before.first.port = 7777;
    put(before);
    ASSERT_TRUE(host_->put_pair(kV4, before));
    const auto found = need(host_->pairs(), "pairs");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].pair, kV4);
    EXPECT_TRUE(passes(kV4));
}

TEST_F(KernelPairHostKernel, RepairsWhatSomebodyHasFlushedOrSwitchedOff) {
    open();
    put(kV4);
    ASSERT_TRUE(passes(kV4));
    shell(
        "nft flush chain inet cvlan_relay prerouting; echo 0 > "
        "/proc/sys/net/ipv4/conf/ra/forwarding");
    EXPECT_FALSE(passes(kV4, 3));
    look();
    EXPECT_TRUE(passes(kV4));
}

TEST_F(KernelPairHostKernel, MakesItsTableAnewWhenAPairIsToBePutAndItIsGone) {
    open();
    for (const bool is_known : {false, true}) {
        shell("nft flush ruleset");
        in_r([&] { return is_known ? host_->refresh(kV4) : host_->put_pair(kV4, std::nullopt); });
        EXPECT_TRUE(passes(kV4));
    }
}

TEST_F(KernelPairHostKernel, FollowsTheAddressesOfTheMachine) {
    open();
    shell("ip address add 10.9.0.77/32 dev lo scope global");
    look();
    ForwardedPair moved = kV4;
    moved.own = at("10.9.0.77:1").address;
    put(moved);
    EXPECT_THAT(shell("nft list table inet cvlan_relay"), HasSubstr("10.9.0.77"));
}

TEST_F(KernelPairHostKernel, ClearsAllThatARelayHasLeft) {
    const std::string before =
        shell("cat /proc/sys/net/ipv4/conf/*/* /proc/sys/net/ipv6/conf/*/forwarding");
    open();
    put(kV4);
    host_.reset();
    for (int time = 0; time < 2; ++time) in_r([&] { return KernelPairHost::clear(net_.r); });
    EXPECT_THAT(shell("nft list ruleset"), IsEmpty());
    EXPECT_EQ(shell("cat /proc/sys/net/ipv4/conf/*/* /proc/sys/net/ipv6/conf/*/forwarding"),
              before);
}

TEST_F(KernelPairHostKernel, LeavesForwardingAloneWhereItIsToldSo) {
    open(false);
    EXPECT_EQ(shell("cat /proc/sys/net/ipv4/conf/ra/forwarding"), "0\n");
    put(kV4);
    EXPECT_FALSE(passes(kV4, 3));
}

}  // namespace
}  // namespace cvlan::relay
