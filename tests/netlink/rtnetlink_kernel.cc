// SPDX-License-Identifier: Apache-2.0
// Links, addresses, routes and rules against a real kernel, with ip(8) as the independent reader.
#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "netlink/address.h"
#include "netlink/link.h"
#include "netlink/route.h"
#include "netlink/rule.h"
#include "tests/support/netns.h"

namespace cvlan::netlink {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using tests::output_of;

Address address(std::string_view text) { return *Address::parse(text); }
Prefix prefix(std::string_view text) { return *Prefix::parse(text); }

class Rtnetlink : public tests::InOwnNetns {
protected:
    void SetUp() override {
        InOwnNetns::SetUp();
        auto socket = Socket::open(NETLINK_ROUTE, netns());
        ASSERT_TRUE(socket) << socket.error().message;
        socket_ = std::make_unique<Socket>(std::move(*socket));
        socket_->set_tally(&tally_);
    }
    Socket& socket() { return *socket_; }
    // A link that is up, and its index.
    int link_up(const std::string& name) {
        output_of("ip link add " + name + " type veth peer name " + name + "p");
        output_of("ip link set " + name + " up; ip link set " + name + "p up");
        return find_link(socket(), name)->index;
    }

    Tally tally_;

private:
    std::unique_ptr<Socket> socket_;
};

TEST_F(Rtnetlink, MakesAndRemovesALinkWithItsMarkAndMtu) {
    auto made =
        add_link(socket(), {.name = "cv-a", .kind = "veth", .alias = "cvlan:net-1", .mtu = 1380});
    ASSERT_TRUE(made) << made.error().message;
    auto link = find_link(socket(), "cv-a");
    ASSERT_TRUE(link) << link.error().message;
    EXPECT_EQ(link->kind, "veth");
    EXPECT_EQ(link->alias, "cvlan:net-1");
    EXPECT_EQ(link->mtu, 1380u);
    EXPECT_FALSE(link->up);
    const std::string shown = output_of("ip -d link show cv-a");
    EXPECT_THAT(shown, HasSubstr("alias cvlan:net-1"));
    EXPECT_THAT(shown, HasSubstr("mtu 1380"));
    EXPECT_EQ(add_link(socket(), {.name = "cv-a", .kind = "veth"}).error().code, Code::Exists);

    ASSERT_TRUE(remove_link(socket(), link->index));
    EXPECT_EQ(find_link(socket(), "cv-a").error().code, Code::NotFound);
    EXPECT_EQ(remove_link(socket(), link->index).error().code, Code::NotFound);
}

TEST_F(Rtnetlink, ChangesOnlyWhatIsAskedFor) {
    const int index = link_up("cv-a");
    ASSERT_TRUE(change_link(socket(), index, {.alias = "x", .mtu = 1400}));
    ASSERT_TRUE(change_link(socket(), index, {.up = false}));
    ASSERT_TRUE(change_link(socket(), index, {.name = "cv-b"}));
    auto link = find_link(socket(), "cv-b");
    ASSERT_TRUE(link);
    EXPECT_EQ(link->alias, "x");
    EXPECT_EQ(link->mtu, 1400u);
    EXPECT_FALSE(link->up);
    ASSERT_TRUE(change_link(socket(), index, {.up = true}));
    link = find_link(socket(), "cv-b");
    EXPECT_TRUE(link->up);
    EXPECT_EQ(link->alias, "x");
}

TEST_F(Rtnetlink, JoinsAndLeavesABridge) {
    output_of("ip link add br0 type bridge");
    const int index = link_up("cv-a");
    const auto bridge = static_cast<uint32_t>(find_link(socket(), "br0")->index);
    ASSERT_TRUE(change_link(socket(), index, {.master = bridge}));
    EXPECT_EQ(find_link(socket(), "cv-a")->master, bridge);
    ASSERT_TRUE(change_link(socket(), index, {.master = 0}));
    EXPECT_EQ(find_link(socket(), "cv-a")->master, 0u);
}

TEST_F(Rtnetlink, MovesALinkToAnotherNamespace) {
    const int index = link_up("cv-a");
    const NetnsFd other = tests::new_netns();
    ASSERT_TRUE(change_link(socket(), index, {.netns = &other}));
    EXPECT_EQ(find_link(socket(), "cv-a").error().code, Code::NotFound);
    auto there = Socket::open(NETLINK_ROUTE, other);
    ASSERT_TRUE(there) << there.error().message;
    EXPECT_TRUE(find_link(*there, "cv-a"));
    EXPECT_EQ(NetnsFd::current()->is_same(netns()), true);
}

TEST_F(Rtnetlink, ListsLinksOfOneKind) {
    link_up("cv-a");
    output_of("ip link add br0 type bridge");
    auto all = list_links(socket());
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), 4u);  // lo, the pair, the bridge
    auto veths = list_links(socket(), "veth");
    ASSERT_TRUE(veths);
    EXPECT_EQ(veths->size(), 2u);
    EXPECT_TRUE(list_links(socket(), "no-such-kind")->empty());
}

TEST_F(Rtnetlink, SaysWhatTheKernelSays) {
    auto made = add_link(socket(), {.name = "cv-a", .kind = "no-such-kind"});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::Unsupported);
    EXPECT_THAT(made.error().message, HasSubstr("Unknown device type"));
    EXPECT_EQ(add_link(socket(), {.name = "a-name-of-16-byte", .kind = "veth"}).error().code,
              Code::Invalid);
    EXPECT_EQ(find_link(socket(), "").error().code, Code::Invalid);
    const int index = link_up("cv-b");
    EXPECT_EQ(change_link(socket(), index, {.name = "a-name-of-16-byte"}).error().code,
              Code::Invalid);
}

TEST_F(Rtnetlink, ALinkThatCanNotBeMarkedDoesNotStay) {
    tally_.fail_nth = 3;  // add, find, mark
    tally_.fail_errno = ENOMEM;
    auto made = add_link(socket(), {.name = "cv-a", .kind = "veth", .alias = "cvlan:net-1"});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::Unavailable);
    EXPECT_EQ(find_link(socket(), "cv-a").error().code, Code::NotFound);
}

TEST_F(Rtnetlink, AddressesOfBothFamilies) {
    const int index = link_up("cv-a");
    const InterfaceAddress four{index, address("10.100.0.1"), 32};
    const InterfaceAddress six{index, address("fd00:1::1"), 128};
    for (const auto& one : {four, six}) {
        auto added = add_address(socket(), one);
        ASSERT_TRUE(added) << added.error().message;
        EXPECT_EQ(add_address(socket(), one).error().code, Code::Exists);
    }
    auto listed = list_addresses(socket(), index);
    ASSERT_TRUE(listed);
    EXPECT_THAT(*listed, Contains(four));
    EXPECT_THAT(*listed, Contains(six));
    const std::string shown = output_of("ip address show cv-a");
    EXPECT_THAT(shown, HasSubstr("inet 10.100.0.1/32 "));
    EXPECT_THAT(shown, HasSubstr("inet6 fd00:1::1/128 "));
    EXPECT_THAT(shown, Not(HasSubstr("fd00:1::1/128 scope global tentative")));
    EXPECT_THAT(*list_addresses(socket()), Contains(InterfaceAddress{1, address("127.0.0.1"), 8}));
    EXPECT_THAT(*list_addresses(socket(), 1), Not(Contains(four)));

    for (const auto& one : {four, six}) {
        ASSERT_TRUE(remove_address(socket(), one));
        EXPECT_EQ(remove_address(socket(), one).error().code, Code::NotFound);
    }
}

TEST_F(Rtnetlink, RoutesInATableOfOurOwn) {
    const int index = link_up("cv-a");
    ASSERT_TRUE(add_address(socket(), {index, address("10.100.0.1"), 32}));
    ASSERT_TRUE(add_address(socket(), {index, address("fd00:1::1"), 128}));
    EXPECT_TRUE(list_routes(socket(), Family::V4, {.table = 52000})->empty());
    EXPECT_TRUE(list_routes(socket(), Family::V6, {.table = 52000})->empty());
    Route four;
    four.destination = prefix("10.100.0.0/16");
    four.table = 52000;
    four.ifindex = index;
    four.preferred_source = address("10.100.0.1");
    four.protocol = 202;
    four.scope = RT_SCOPE_LINK;
    Route six = four;
    six.destination = prefix("fd00:1::/64");
    six.preferred_source = address("fd00:1::1");
    six.scope = RT_SCOPE_UNIVERSE;
    six.metric = 1024;
    for (const Route& route : {four, six}) {
        auto added = add_route(socket(), route);
        ASSERT_TRUE(added) << added.error().message;
        EXPECT_EQ(add_route(socket(), route).error().code, Code::Exists);
        EXPECT_TRUE(replace_route(socket(), route));
        const Family family = route.destination.family();
        EXPECT_EQ(*list_routes(socket(), family, {.table = 52000}), std::vector<Route>{route});
        EXPECT_EQ(*list_routes(socket(), family, {.protocol = 202}), std::vector<Route>{route});
    }
    EXPECT_THAT(output_of("ip route show table 52000"),
                HasSubstr("10.100.0.0/16 dev cv-a proto 202 scope link src 10.100.0.1"));
    EXPECT_THAT(output_of("ip -6 route show table 52000"),
                HasSubstr("fd00:1::/64 dev cv-a proto 202 src fd00:1::1 metric 1024"));
    for (const Route& route : {four, six}) {
        ASSERT_TRUE(remove_route(socket(), route));
        EXPECT_EQ(remove_route(socket(), route).error().code, Code::NotFound);
    }
}

TEST_F(Rtnetlink, ReadsRoutesItWouldNotMake) {
    link_up("cv-a");
    output_of("ip address add 10.0.0.1/24 dev cv-a");
    output_of("ip route add default via 10.0.0.2 metric 5");
    output_of("ip route add blackhole 10.9.0.0/16");
    output_of("ip route add 10.8.0.0/16 nexthop via 10.0.0.3 nexthop via 10.0.0.4");
    output_of("ip -6 route add unreachable fd00:9::/32");
    auto routes = list_routes(socket(), Family::V4, {.table = RT_TABLE_MAIN});
    ASSERT_TRUE(routes) << routes.error().message;
    const auto find = [&](std::string_view destination) {
        return std::find_if(routes->begin(), routes->end(), [&](const Route& route) {
            return route.destination == prefix(destination);
        });
    };
    ASSERT_NE(find("0.0.0.0/0"), routes->end());
    EXPECT_EQ(find("0.0.0.0/0")->gateway, address("10.0.0.2"));
    EXPECT_EQ(find("0.0.0.0/0")->metric, 5u);
    ASSERT_NE(find("10.9.0.0/16"), routes->end());
    EXPECT_EQ(find("10.9.0.0/16")->type, RTN_BLACKHOLE);
    EXPECT_EQ(find("10.8.0.0/16"), routes->end());  // multipath
    auto six = list_routes(socket(), Family::V6, {.table = RT_TABLE_MAIN});
    ASSERT_TRUE(six);
    EXPECT_TRUE(std::any_of(six->begin(), six->end(), [&](const Route& route) {
        return route.destination == prefix("fd00:9::/32") && route.type == RTN_UNREACHABLE;
    }));
    Route via;
    via.destination = prefix("10.7.0.0/16");
    via.gateway = address("10.0.0.2");
    ASSERT_TRUE(add_route(socket(), via));
    EXPECT_THAT(output_of("ip route show 10.7.0.0/16"), HasSubstr("via 10.0.0.2 dev cv-a"));
}

Rule our_rule(Family family) {
    return {.family = family,
            .priority = 5200,
            .table = 52000,
            .fwmark = 0xca000000,
            .fwmask = 0xff000000,
            .is_inverted = true,
            .protocol = 202};
}

TEST_F(Rtnetlink, RulesByInvertedMark) {
    for (const Family family : {Family::V4, Family::V6}) {
        const Rule rule = our_rule(family);
        auto added = add_rule(socket(), rule);
        ASSERT_TRUE(added) << added.error().message;
        EXPECT_EQ(add_rule(socket(), rule).error().code, Code::Exists);
        EXPECT_THAT(*list_rules(socket(), family), Contains(rule));
        EXPECT_THAT(
            output_of(family == Family::V4 ? "ip rule" : "ip -6 rule"),
            HasSubstr("5200:\tnot from all fwmark 0xca000000/0xff000000 lookup 52000 proto 202"));
        ASSERT_TRUE(remove_rule(socket(), rule));
        EXPECT_EQ(remove_rule(socket(), rule).error().code, Code::NotFound);
    }
}

TEST_F(Rtnetlink, ForeignRulesAreNotTakenForPlainOnes) {
    output_of("ip rule add from 10.0.0.0/8 priority 5201 lookup 52000 protocol 202");
    output_of("ip rule add priority 5202 lookup 52000 suppress_prefixlength 0 protocol 202");
    output_of("ip rule add priority 5203 ipproto tcp dport 80 lookup 52000 protocol 202");
    output_of("ip rule add priority 5204 iif lo lookup 52000 protocol 202");
    output_of("ip rule add priority 5205 lookup 52000 protocol 202");
    auto rules = list_rules(socket(), Family::V4);
    ASSERT_TRUE(rules);
    for (const Rule& rule : *rules) {
        if (rule.table != 52000) continue;
        EXPECT_EQ(rule.is_plain, rule.priority == 5205) << rule.priority;
    }
    Rule odd = our_rule(Family::V4);
    odd.is_plain = false;
    EXPECT_EQ(add_rule(socket(), odd).error().code, Code::Invalid);
}

TEST_F(Rtnetlink, AForeignRuleThatLooksLikeOursIsNotRemoved) {
    output_of("ip rule add priority 5200 fwmark 0xca000000/0xff000000 lookup 52000 protocol 3");
    const std::string before = output_of("ip rule");
    auto removed = remove_rule(socket(), our_rule(Family::V4));
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code, Code::Conflict);
    EXPECT_EQ(output_of("ip rule"), before);
}

TEST_F(Rtnetlink, AThousandLinksComeInOneDump) {
    std::string batch;
    for (int i = 0; i < 500; ++i)
        batch +=
            "link add a" + std::to_string(i) + " type veth peer name b" + std::to_string(i) + "\\n";
    output_of("printf '" + batch + "' | ip -batch -");
    auto links = list_links(socket(), "veth");
    ASSERT_TRUE(links);
    EXPECT_EQ(links->size(), 1000u);
}

}  // namespace
}  // namespace cvlan::netlink
