// SPDX-License-Identifier: Apache-2.0
// Tunnels over xfrm interfaces on a real kernel: packets through, and never one in clear.
#include <gmock/gmock.h>
#include <linux/udp.h>
#include <netinet/in.h>

#include "tests/support/xfrm_pair.h"
#include "xfrm/statistics.h"

namespace cvlan::xfrm {
namespace {

using testing::HasSubstr;
using tests::Capture;
using tests::keys_for;
using tests::kPairIfId;
using tests::must;
using tests::run_in;

class XfrmTunnel : public tests::XfrmPair {
protected:
    // Of the first node; 0 where the kernel has no such counter.
    uint64_t counter(std::string_view name) {
        const auto found = statistics(a().netns);
        EXPECT_TRUE(found) << found.error().message;
        const auto one = found->find(name);
        EXPECT_NE(one, found->end()) << name;
        return one == found->end() ? 0 : one->second;
    }
};

TEST_F(XfrmTunnel, CarriesBothFamiliesAndShowsNeither) {
    connect();
    Capture wire(a().netns, "wire");
    EXPECT_TRUE(ping("10.0.0.2", 3));
    EXPECT_TRUE(ping("fd00::2", 3));
    const auto seen = wire.take();
    EXPECT_EQ(seen.esp, 12u);
    EXPECT_EQ(seen.clear, 0u);
    const auto sent = a().client.state(state(1, 2).id);
    ASSERT_TRUE(sent);
    EXPECT_EQ(sent->usage.packets, 6u);
    EXPECT_GT(sent->usage.bytes, 6u * 64);
    EXPECT_EQ(sent->replay.sent, 6u);
    EXPECT_TRUE(sent->usage.used_at);
    const auto received = a().client.state(state(2, 1).id);
    EXPECT_EQ(received->replay.received, 6u);
    EXPECT_EQ(received->usage.integrity_failed, 0u);
    EXPECT_EQ(counter("XfrmInError"), 0u);
    EXPECT_THAT(must(a().netns, "ip -d -s xfrm state"),
                HasSubstr(fmt::format("{}(bytes), 6(packets)", sent->usage.bytes)));
    const auto policies = a().client.policies();
    EXPECT_EQ(policies->size(), 6u);
}

TEST_F(XfrmTunnel, TheInterfaceIsReadAsItWasMade) {
    const auto link = netlink::find_link(a().route, "cx-a");
    ASSERT_TRUE(link) << link.error().message;
    EXPECT_EQ(link->kind, "xfrm");
    EXPECT_EQ(link->alias, "cvlan:net-1");
    ASSERT_TRUE(link->xfrm);
    EXPECT_EQ(link->xfrm->if_id, kPairIfId);
    EXPECT_EQ(static_cast<int>(link->xfrm->underlying),
              netlink::find_link(a().route, "wire")->index);
    EXPECT_THAT(must(a().netns, "ip -d link show cx-a"), HasSubstr("if_id 0xca000001"));
    EXPECT_EQ(netlink::list_links(a().route, "xfrm")->size(), 1u);
    // A number is one interface's.
    auto second = netlink::add_link(
        a().route, {.name = "cx-b", .kind = "xfrm", .xfrm = netlink::Xfrm{.if_id = kPairIfId}});
    EXPECT_EQ(second.error().code, Code::Exists);
    auto none = netlink::add_link(a().route, {.name = "cx-b", .kind = "xfrm"});
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().message, HasSubstr("if_id"));
    auto odd = netlink::add_link(
        a().route, {.name = "cx-b", .kind = "dummy", .xfrm = netlink::Xfrm{.if_id = 5}});
    EXPECT_EQ(odd.error().code, Code::Invalid);
    // One that takes its numbers from metadata is somebody else's, and says 0.
    must(a().netns, "ip link add cx-c type xfrm external");
    EXPECT_EQ(netlink::find_link(a().route, "cx-c")->xfrm->if_id, 0u);
    ASSERT_TRUE(netlink::remove_link(a().route, link->index));
    EXPECT_EQ(netlink::find_link(a().route, "cx-a").error().code, Code::NotFound);
}

// The kernel takes ESP in UDP only where a socket says so.
UniqueFd encapsulating_socket(const netlink::NetnsFd& netns, uint16_t port) {
    UniqueFd fd;
    auto opened = netns.run([&]() -> Result<void> {
        fd.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_port = htons(port);
        if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0)
            return failed(errno_error("bind"));
        const int kind = UDP_ENCAP_ESPINUDP;
        if (setsockopt(fd.get(), IPPROTO_UDP, UDP_ENCAP, &kind, sizeof kind) != 0)
            return failed(errno_error("UDP_ENCAP"));
        return {};
    });
    EXPECT_TRUE(opened);
    return fd;
}

TEST_F(XfrmTunnel, GoesThroughUdpWhereANatWants) {
    const UniqueFd at_a = encapsulating_socket(a().netns, 4500);
    const UniqueFd at_b = encapsulating_socket(b().netns, 4500);
    connect([](State& one) {
        one.encapsulation = Encapsulation{.source_port = 4500, .destination_port = 4500};
    });
    Capture wire(a().netns, "wire");
    EXPECT_TRUE(ping("10.0.0.2", 2));
    const auto seen = wire.take();
    EXPECT_EQ(seen.udp, 4u);
    EXPECT_EQ(seen.esp, 0u);
    EXPECT_EQ(seen.clear, 0u);
}

TEST_F(XfrmTunnel, AnUpdateUnderWayLosesNothing) {
    connect();
    EXPECT_TRUE(ping());
    State sending = state(1, 2);
    sending.limits.soft_bytes = 1 << 20;
    ASSERT_TRUE(a().client.update_state(sending, keys_for(sending)));
    EXPECT_TRUE(ping());
    const auto read = a().client.state(sending.id);
    EXPECT_EQ(read->replay.sent, 2u);
    EXPECT_EQ(read->limits.soft_bytes, 1u << 20);
}

// Its states and policies are those of the namespace of its birth, and the wire is there too.
TEST_F(XfrmTunnel, GoesOnWhenItsInterfaceIsMoved) {
    connect();
    const netlink::NetnsFd tenant = tests::new_netns();
    ASSERT_TRUE(netlink::change_link(a().route, netlink::find_link(a().route, "cx-a")->index,
                                     {.netns = &tenant}));
    must(tenant,
         "ip link set lo up; ip link set cx-a up; ip address add 10.0.0.1/32 dev cx-a; ip route "
         "add 10.0.0.2/32 dev cx-a");
    Capture wire(a().netns, "wire");
    EXPECT_EQ(run_in(tenant, "ping -c 2 -i 0.2 -W 1 -p 434c45415254455854 10.0.0.2").status, 0);
    const auto seen = wire.take();
    EXPECT_EQ(seen.esp, 4u);
    EXPECT_EQ(seen.clear, 0u);
    // It keeps its mark, and its underlying device is one of elsewhere.
    auto there = netlink::Socket::open(NETLINK_ROUTE, tenant);
    const auto link = netlink::find_link(*there, "cx-a");
    EXPECT_EQ(link->xfrm->if_id, kPairIfId);
    EXPECT_EQ(link->alias, "cvlan:net-1");
    // Flushed where it was born, it sends nothing where it is.
    must(a().netns, "ip xfrm state flush; ip xfrm policy flush");
    EXPECT_NE(run_in(tenant, "ping -c 1 -W 1 -p 434c45415254455854 10.0.0.2").status, 0);
    EXPECT_EQ(wire.take().clear, 0u);
}

// --- F58: never a packet in clear ---

TEST_F(XfrmTunnel, WithoutAPolicyNothingLeaves) {
    Capture wire(a().netns, "wire");
    EXPECT_FALSE(ping());
    EXPECT_FALSE(ping("fd00::2"));
    EXPECT_EQ(wire.take().clear, 0u);
    EXPECT_THAT(must(a().netns, "ip -s link show cx-a"), HasSubstr("TX"));
}

TEST_F(XfrmTunnel, WithoutAStateNothingLeavesAndItIsCounted) {
    tests::XfrmPair::add_policies(a(), 1);
    Capture wire(a().netns, "wire");
    EXPECT_FALSE(ping());
    const auto seen = wire.take();
    EXPECT_EQ(seen.clear, 0u);
    EXPECT_EQ(seen.esp, 0u);
    EXPECT_GT(counter("XfrmOutNoStates") + counter("XfrmAcquireError"), 0u);
}

TEST_F(XfrmTunnel, AFlushUnderTrafficLetsNothingOut) {
    for (const char* flush : {"ip xfrm state flush", "ip xfrm policy flush"}) {
        connect();
        Capture wire(a().netns, "wire");
        EXPECT_TRUE(ping());
        must(a().netns, flush);
        EXPECT_FALSE(ping("10.0.0.2", 3));
        const auto seen = wire.take();
        EXPECT_EQ(seen.clear, 0u) << flush;
        EXPECT_EQ(seen.esp, 2u) << flush;
        for (tests::XfrmNode* node : {&a(), &b()})
            must(node->netns, "ip xfrm state flush; ip xfrm policy flush");
    }
}

TEST_F(XfrmTunnel, APolicyThatAsksForNoStateLetsNothingOut) {
    Policy open = tests::tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", kPairIfId);
    open.templates[0].optional = true;
    auto refused = a().client.update_policy(open);
    ASSERT_FALSE(refused);  // and the kernel says why
    EXPECT_THAT(refused.error().message, HasSubstr("optional template not allowed"));
    open.templates.clear();
    must_do(a().client.update_policy(open));
    Capture wire(a().netns, "wire");
    EXPECT_FALSE(ping());
    EXPECT_EQ(wire.take().clear, 0u);
}

// What came through the tunnel without a policy for it is not let in.
TEST_F(XfrmTunnel, WithoutAPolicyNothingComesIn) {
    connect();
    must(a().netns,
         "ip xfrm policy delete dir in src 10.0.0.0/24 dst 10.0.0.0/24 if_id 0xca000001");
    Capture wire(a().netns, "wire");
    EXPECT_FALSE(ping());
    EXPECT_EQ(wire.take().esp, 2u);  // the answer came
    EXPECT_GT(counter("XfrmInNoPols"), 0u);
}

// This one leaks, and is why there is a guard: with the interface its routes go, and the packet
// takes the default route.
TEST_F(XfrmTunnel, WithoutItsInterfaceAPacketLeavesInClearUnlessItsTableEndsInAGuard) {
    connect();
    must(a().netns, "ip link delete cx-a");
    {
        Capture wire(a().netns, "wire");
        EXPECT_TRUE(ping());  // the peer answers it, as all that is for an address of its own
        EXPECT_GT(wire.take().clear, 0u);
    }
    must(a().netns,
         "ip rule add priority 5200 lookup 52000; "
         "ip route add unreachable 10.0.0.0/24 table 52000 metric 4294967294");
    Capture wire(a().netns, "wire");
    EXPECT_FALSE(ping());
    EXPECT_EQ(wire.take().clear, 0u);
    // Beside it the interface's own route wins, and the guard waits for it to go.
    add_interface(a());
    must(a().netns,
         "ip link set cx-a up; ip address add 10.0.0.1/32 dev cx-a; ip route add 10.0.0.0/24 dev "
         "cx-a table 52000 src 10.0.0.1");
    EXPECT_TRUE(ping());
    must(a().netns, "ip link set cx-a down");
    EXPECT_FALSE(ping());
    EXPECT_EQ(wire.take().clear, 0u);
}

}  // namespace
}  // namespace cvlan::xfrm
