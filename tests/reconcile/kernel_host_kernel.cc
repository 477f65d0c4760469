// SPDX-License-Identifier: Apache-2.0
#include "reconcile/kernel_host.h"

#include <arpa/inet.h>

#include "tests/reconcile/host_contract.h"
#include "tests/support/netns.h"

namespace cvlan::reconcile {
namespace {

using tests::output_of;

class MadeKernel {
public:
    void set_up() {
        ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "kernel tests need root";
        output_of("ip link set lo up");
        auto netns = netlink::NetnsFd::current();
        ASSERT_TRUE(netns) << netns.error().message;
        auto host = KernelHost::open(*netns);
        ASSERT_TRUE(host) << host.error().message;
        host_ = std::make_unique<KernelHost>(std::move(*host));
    }
    Host& host() { return *host_; }
    void add_foreign_link(const std::string& name) {
        output_of("ip link add " + name + " type wireguard && ip link set " + name +
                  " alias someone up && ip address add 198.51.100.1/32 dev " + name);
        foreign_ = name;
    }
    std::string foreign_state() {
        return output_of("ip -d address show " + foreign_ + "; wg show " + foreign_ + " dump");
    }
    void add_foreign_rule(uint32_t priority, uint32_t table) {
        output_of(fmt::format("ip rule add priority {} lookup {}", priority, table));
    }
    void add_foreign_route(uint32_t table, const std::string& destination) {
        output_of(fmt::format("ip route add blackhole {} table {}", destination, table));
    }
    void add_foreign_xfrm(const std::string& name, uint32_t if_id) {
        output_of(fmt::format("ip link add {} type xfrm if_id {}", name, if_id));
    }
    void remove_link(const std::string& name) { output_of("ip link del " + name); }
    void rename_link(const std::string& from, const std::string& to) {
        output_of("ip link set " + from + " down && ip link set " + from + " name " + to +
                  " && ip link set " + to + " up");
    }
    void set_down(const std::string& name) { output_of("ip link set " + name + " down"); }
    void hold_port(uint16_t port) {
        socket_ = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_storage at{};
        const socklen_t size = Endpoint{Address(), port}.to_sockaddr(at);
        ASSERT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
    }

private:
    std::unique_ptr<KernelHost> host_;
    UniqueFd socket_;
    std::string foreign_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Kernel, HostContract, MadeKernel);

// What only a kernel has, read by other programs than ours.
class KernelHostTest : public ::testing::Test {
protected:
    void SetUp() override { made_.set_up(); }
    Round round(const Desired& want, Scope scope = Scope::Everything) {
        auto round = run_round(made_.host(), want, scope);
        EXPECT_TRUE(round.has_value()) << round.error().message;
        for (const std::string& problem : round->problems()) ADD_FAILURE() << problem;
        return std::move(*round);
    }
    // One round makes it as wanted again, and the next has nothing to do.
    std::vector<std::string> repair(const Desired& want, Scope scope = Scope::Everything) {
        auto lines = round(want, scope).plan.lines();
        EXPECT_EQ(round(want).plan.text(), "");
        return lines;
    }
    MadeKernel made_;
};

TEST_F(KernelHostTest, OtherProgramsReadWhatWeWrote) {
    NodeConfig config = self();
    config.networks[kNetwork].peers[key(2)] = {.keepalive_seconds = 25};
    repair(desired_state(map_of({map_network({2})}), config));
    EXPECT_EQ(output_of("wg show " + kDevice + " dump | tail -n 1 | cut -f 1,3,4,8"),
              key(2).text() + "\t192.0.2.2:51820\t10.100.0.2/32,fd00:100::2/128\t25\n");
    EXPECT_EQ(output_of("wg show " + kDevice + " fwmark"), "0xca000000\n");
    EXPECT_EQ(output_of("wg show " + kDevice + " listen-port"), "51820\n");
    EXPECT_EQ(
        output_of("cat /sys/class/net/" + kDevice + "/ifalias 2>/dev/null || ip -j link show " +
                  kDevice +
                  " | python3 -c 'import json,sys; print(json.load(sys.stdin)[0][\"ifalias\"])'"),
        "cvlan:" + kNetwork + "\n");
    EXPECT_EQ(output_of("ip -4 -N route show table 52000"),
              "10.100.0.0/16 dev " + kDevice + " proto 202 scope 253 src 10.100.0.1 \n");
    EXPECT_EQ(
        output_of("ip -6 -N route show table 52000"),
        "fd00:100::/64 dev " + kDevice + " proto 202 src fd00:100::1 metric 1024 pref medium\n");
    for (const char* family : {"-4", "-6"})
        EXPECT_EQ(output_of(fmt::format("ip {} -N rule show priority 5200", family)),
                  "5200:\tnot from all fwmark 0xca000000/0xff000000 lookup 52000 proto 202\n");
    const std::string addresses = output_of("ip -o address show dev " + kDevice);
    EXPECT_NE(addresses.find("10.100.0.1/32"), std::string::npos);
    EXPECT_NE(addresses.find("fd00:100::1/128"), std::string::npos);
}

TEST_F(KernelHostTest, OtherProgramsReadTheInterfaceOfANetworkOverIpsec) {
    repair(want_ipsec(3));
    const std::string link = output_of("ip -d link show " + kXfrmDevice);
    EXPECT_NE(link.find("if_id 0xca000003"), std::string::npos) << link;
    EXPECT_NE(link.find("mtu 1414"), std::string::npos) << link;
    EXPECT_NE(link.find("alias cvlan:" + kNetwork), std::string::npos) << link;
    EXPECT_EQ(output_of("ip -4 -N route show table 52003"),
              "10.100.0.0/16 dev " + kXfrmDevice + " proto 202 scope 253 src 10.100.0.1 \n" +
                  "7 10.100.0.0/16 proto 202 metric 4294967294 \n");  // RTN_UNREACHABLE
    // Nothing of it is written again, also where WireGuard alone is looked at.
    netlink::Tally tally;
    static_cast<KernelHost&>(made_.host()).set_tally(&tally);
    round(want_ipsec(3));
    round(want_ipsec(3), Scope::WireGuard);
    EXPECT_EQ(tally.writes, 0u);
    static_cast<KernelHost&>(made_.host()).set_tally(nullptr);
    output_of("ip link set " + kXfrmDevice + " mtu 1300");
    EXPECT_EQ(repair(want_ipsec(3)),
              std::vector<std::string>{"set link " + kXfrmDevice + " mtu 1414"});
    output_of("ip route del unreachable 10.100.0.0/16 table 52003");
    EXPECT_EQ(repair(want_ipsec(3)),
              std::vector<std::string>{"set route 10.100.0.0/16 table 52003 unreachable"});
    output_of("ip link del " + kXfrmDevice);
    EXPECT_FALSE(repair(want_ipsec(3), Scope::WireGuard).empty());
}

TEST_F(KernelHostTest, AdoptsAnInterfaceThatWasMadeAndNotYetMarked) {
    output_of("ip link add " + kXfrmDevice + " type xfrm if_id 9");
    EXPECT_EQ(repair(want_ipsec(0)).at(0),
              "set link " + kXfrmDevice + " if_id 0xca000000 mtu 1414 up");
    // Another's is left as it is, with whatever number; so is one for all numbers, whatever it
    // says.
    output_of("ip link add ipsec0 type xfrm if_id 77");
    output_of("ip link add ipsec1 type xfrm external && ip link set ipsec1 alias cvlan:" +
              kNetwork);
    repair(want_ipsec(0));
    repair(Desired());
    EXPECT_NE(output_of("ip -d link show ipsec0").find("if_id 0x4d"), std::string::npos);
    EXPECT_NE(output_of("ip -d link show ipsec1").find("external"), std::string::npos);
}

TEST_F(KernelHostTest, ARoundWithoutChangeWritesNothing) {
    const Desired want = want_peers({2, 3});
    repair(want);
    netlink::Tally tally;
    static_cast<KernelHost&>(made_.host()).set_tally(&tally);
    round(want);
    round(want, Scope::WireGuard);
    EXPECT_EQ(tally.writes, 0u);
    EXPECT_GT(tally.reads, 0u);
    static_cast<KernelHost&>(made_.host()).set_tally(nullptr);
}

TEST_F(KernelHostTest, RebuildsADeletedDevice) {
    const Desired want = want_peers({2, 3});
    repair(want);
    output_of("ip link del " + kDevice);
    EXPECT_FALSE(repair(want, Scope::WireGuard).empty());
}

TEST_F(KernelHostTest, RebuildsADeviceThatWasMovedToAnotherNamespace) {
    NodeConfig config = self();
    repair(desired_state(map_of({map_network({2})}), config));
    output_of("ip netns add elsewhere && ip link set " + kDevice + " netns elsewhere");
    // Its socket stays in the namespace of its birth, and so the port is taken.
    config.networks[kNetwork].listen_port = 51900;
    repair(desired_state(map_of({map_network({2})}), config));
    EXPECT_NE(output_of("ip link show " + kDevice).find("UP"), std::string::npos);
    output_of("ip netns del elsewhere");
}

TEST_F(KernelHostTest, RevertsWhatWasChangedByHand) {
    const Desired want = want_peers({2, 3, 4});
    repair(want);
    const std::string peer = key(3).text();
    const std::string dev = kDevice;
    const struct {
        std::string command;
        std::vector<std::string> plan;
    } cases[] = {
        {"ip link set " + dev + " mtu 1300", {"set link " + dev + " mtu 1420"}},
        {"ip address flush dev " + dev + " scope global; true", {}},
        {"ip route flush table 52000; ip -6 route flush table 52000", {}},
        {"ip rule del priority 5200",
         {"set rule ipv4 5200 not fwmark 0xca000000/0xff000000 lookup 52000"}},
        {"ip rule flush; ip -6 rule flush", {}},
        {"wg set " + dev + " peer " + peer + " remove",
         {"set peer " + dev + " " + peer +
          " allowed 10.100.0.3/32,fd00:100::3/128 endpoint 192.0.2.3:51820"}},
        {"wg set " + dev + " peer " + peer + " allowed-ips 10.9.9.9/32",
         {"set peer " + dev + " " + peer + " allowed 10.100.0.3/32,fd00:100::3/128"}},
        {"wg set " + dev + " peer " + peer + " persistent-keepalive 7",
         {"set peer " + dev + " " + peer + " keepalive 0"}},
        {"umask 077; wg genpsk > /tmp/psk && wg set " + dev + " peer " + peer +
             " preshared-key /tmp/psk",
         {"set peer " + dev + " " + peer + " without preshared key"}},
        {"wg set " + dev + " peer " + peer + " endpoint 203.0.113.7:9", {}},
        {"wg set " + dev + " listen-port 4000", {"set wireguard " + dev + " port 51820"}},
        {"wg set " + dev + " fwmark 5", {"set wireguard " + dev + " fwmark 0xca000000"}},
        {"umask 077; wg genkey > /tmp/key && wg set " + dev + " private-key /tmp/key",
         {"set wireguard " + dev + " key " + device_key(1).public_key().text()}},
        {"wg set " + dev + " peer " + key(99).text() + " allowed-ips 10.100.0.2/32",
         {"set peer " + dev + " " + key(2).text() + " allowed 10.100.0.2/32,fd00:100::2/128",
          "remove peer " + dev + " " + key(99).text()}},
        {"ip address add 10.77.0.1/24 dev " + dev, {"remove address " + dev + " 10.77.0.1/24"}},
        {"ip route add 10.3.0.0/16 dev " + dev + " table 52000 protocol 202",
         {"remove route 10.3.0.0/16 table 52000 dev " + dev}},
        {"ip rule del priority 5200 && ip rule add priority 5200 fwmark 0xca000000/0xff000000 "
         "lookup 52000 protocol 202",
         {}},
    };
    for (const auto& [command, plan] : cases) {
        output_of(command);
        const auto lines = repair(want);
        if (!plan.empty()) {
            EXPECT_EQ(lines, plan) << command;
        }
    }
}

// Linux has an IPv6 address once a device, whatever its length, and with it takes its routes.
TEST_F(KernelHostTest, RevertsTheLengthOfAnIpv6Address) {
    const Desired want = want_peers({2});
    repair(want);
    output_of("ip address del fd00:100::1/128 dev " + kDevice +
              " && ip address add fd00:100::1/64 dev " + kDevice);
    auto converged = converge(made_.host(), want);
    ASSERT_TRUE(converged.has_value());
    EXPECT_TRUE(converged->last.converged());
    EXPECT_LE(converged->rounds, 3);
}

TEST_F(KernelHostTest, RemovesOnlyWhatIsOurs) {
    output_of(
        "ip link add wg0 type wireguard && ip link set wg0 up && ip address add 10.5.0.1/24 dev wg0"
        " && wg set wg0 listen-port 5 peer " +
        key(7).text() +
        " allowed-ips 10.5.0.2/32"
        " && ip rule add priority 5299 lookup 77 && ip rule add priority 77 lookup 52000"
        " && ip route add 10.6.0.0/16 dev wg0 table 77 && ip route add 10.7.0.0/16 dev wg0 "
        "protocol 202"
        " && ip link add cv-0000000000 type dummy && ip rule add priority 7000 lookup 77 protocol "
        "202");
    const std::string look =
        "ip -d link show wg0; ip -d link show cv-0000000000; ip rule; ip -6 rule; "
        "ip route show table all; wg show wg0 dump; ip address show wg0";
    const std::string before = output_of(look);
    repair(desired_state(map_of({map_network({2}), other_network()}), self()));
    repair(Desired());
    EXPECT_EQ(output_of(look), before);
    EXPECT_EQ(output_of("wg show interfaces"), "wg0\n");
}

TEST_F(KernelHostTest, AdoptsADeviceThatWasMadeAndNotYetMarked) {
    output_of("ip link add " + kDevice + " type wireguard");
    repair(want_peers({2}));
}

TEST_F(KernelHostTest, DoesNotAdoptADeviceThatSomebodyHasSetUp) {
    output_of("ip link add " + kDevice +
              " type wireguard; umask 077; wg genkey > /tmp/key && wg set " + kDevice +
              " private-key /tmp/key");
    auto round = run_round(made_.host(), want_peers({2}));
    ASSERT_TRUE(round.has_value());
    EXPECT_EQ(round->observed.foreign.size(), 1u);
}

TEST_F(KernelHostTest, PutsRightTwoDevicesThatSwappedTheirMarks) {
    const Desired want = desired_state(map_of({map_network({2}), other_network()}), self());
    repair(want);
    output_of("ip link set " + kDevice + " alias cvlan:" + kOther);
    output_of("ip link set " + kOtherDevice + " alias ''; true");
    auto converged = converge(made_.host(), want, 6);
    ASSERT_TRUE(converged.has_value());
    // The one without a mark is somebody's now, and is named.
    EXPECT_FALSE(converged->last.converged());
    EXPECT_EQ(output_of("wg show interfaces | wc -w"), "2\n");
}

// The nth request of a convergence fails, before or after the kernel has carried it out: the next
// rounds make it whole.
TEST_F(KernelHostTest, AFaultInAnyRequestIsHealedByTheNextRound) {
    auto& host = static_cast<KernelHost&>(made_.host());
    const Desired want = want_peers({2, 3});
    netlink::Tally tally;
    host.set_tally(&tally);
    repair(want);
    const uint64_t requests = tally.reads + tally.writes;
    ASSERT_GT(requests, 20u);
    for (uint64_t nth = 1; nth <= requests; ++nth) {
        for (const int fault : {EBUSY, ENOMEM, EPERM, EEXIST, ENODEV}) {
            ASSERT_TRUE(converge(host, Desired()).has_value());
            tally = {.fail_nth = nth, .fail_errno = fault, .fail_after = nth % 2 == 0};
            (void)run_round(host, want);
            tally.fail_nth = 0;
            auto converged = converge(host, want);
            ASSERT_TRUE(converged.has_value()) << converged.error().message;
            EXPECT_TRUE(converged->last.converged())
                << "request " << nth << " errno " << fault << "\n"
                << converged->last.plan.text();
            EXPECT_LE(converged->rounds, 3);
        }
    }
    host.set_tally(nullptr);
}

// F65: what fills many netlink messages comes back equal.
TEST_F(KernelHostTest, AThousandPeersStand) {
    std::vector<uint32_t> peers;
    for (uint32_t n = 2; n < 1002; ++n) peers.push_back(n);
    const Desired want = want_peers(peers);
    repair(want);
    EXPECT_EQ(output_of("wg show " + kDevice + " peers | wc -l"), "1000\n");
    peers.erase(peers.begin() + 500);
    EXPECT_EQ(repair(want_peers(peers)),
              std::vector<std::string>{"remove peer " + kDevice + " " + key(502).text()});
}

}  // namespace
}  // namespace cvlan::reconcile
