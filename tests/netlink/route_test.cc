// SPDX-License-Identifier: Apache-2.0
// Links, addresses, routes and rules without a kernel: what they ask for and how they read.
#include "netlink/route.h"

#include <gtest/gtest.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>

#include "netlink/address.h"
#include "netlink/attr_reader.h"
#include "netlink/generic.h"
#include "netlink/link.h"
#include "netlink/monitor.h"
#include "netlink/rule.h"
#include "tests/support/netlink_script.h"

namespace cvlan::netlink {
namespace {

using tests::kernel_message;
using Answers = std::vector<tests::Script::Answer>;

template <class Header>
Bytes payload_of(const Header& header, const std::function<void(Message&)>& fill) {
    Message message(0, 0);
    message.put_header(header);
    fill(message);
    const ByteView payload = message.payload();
    return {payload.begin(), payload.end()};
}

// A kernel that answers every dump with these payloads, and keeps the last request.
struct Paper {
    uint16_t type;
    std::vector<Bytes> payloads;
    Bytes request{};

    Socket socket() {
        return tests::scripted([this](ByteView sent, uint32_t seq) {
            request.assign(sent.begin(), sent.end());
            Answers answers;
            for (const Bytes& payload : payloads)
                answers.push_back({kernel_message(type, NLM_F_MULTI, seq, payload)});
            answers.push_back({tests::done(seq)});
            return answers;
        });
    }
};

Bytes link_payload(int index, std::string_view name, std::string_view kind) {
    ifinfomsg head{};
    head.ifi_index = index;
    head.ifi_flags = IFF_UP;
    return payload_of(head, [&](Message& message) {
        message.put_string(IFLA_IFNAME, name);
        message.put(IFLA_MTU, uint32_t{1420});
        message.put_string(IFLA_IFALIAS, "cvlan:net-1");
        message.nest(IFLA_LINKINFO, [&](Message& nest) { nest.put_string(IFLA_INFO_KIND, kind); });
    });
}

TEST(ParseLink, ReadsWhatWeCompare) {
    const Bytes payload = link_payload(7, "cv-a", "wireguard");
    const auto link = parse_link({RTM_NEWLINK, 0, payload});
    ASSERT_TRUE(link) << link.error().message;
    EXPECT_EQ(*link, (Link{.index = 7,
                           .name = "cv-a",
                           .kind = "wireguard",
                           .alias = "cvlan:net-1",
                           .mtu = 1420,
                           .master = 0,
                           .up = true}));
}

TEST(ParseLink, RefusesWhatIsNoLink) {
    EXPECT_EQ(parse_link({RTM_NEWLINK, 0, Bytes(3)}).error().code, Code::Malformed);
    EXPECT_EQ(parse_link({1, 0, Bytes(16)}).error().code, Code::Malformed);
}

TEST(ListLinks, LeavesOutOtherKindsThatTheKernelDidNot) {
    Paper paper{RTM_NEWLINK, {link_payload(1, "lo", "x"), link_payload(7, "cv-a", "wireguard")}};
    Socket socket = paper.socket();
    const auto links = list_links(socket, "wireguard");
    ASSERT_TRUE(links);
    ASSERT_EQ(links->size(), 1u);
    EXPECT_EQ(links->at(0).name, "cv-a");
    EXPECT_EQ(list_links(socket)->size(), 2u);
    paper.payloads = {Bytes(3)};
    EXPECT_EQ(list_links(socket).error().message.find("list links: "), 0u);
}

Bytes address_payload(uint8_t family, int index, const Bytes& local) {
    ifaddrmsg head{};
    head.ifa_family = family;
    head.ifa_prefixlen = 24;
    head.ifa_index = static_cast<uint32_t>(index);
    return payload_of(head, [&](Message& message) {
        if (!local.empty()) message.put_bytes(IFA_LOCAL, local);
    });
}

TEST(ListAddresses, PassesOverOtherFamiliesAndOtherLinks) {
    Paper paper{RTM_NEWADDR,
                {address_payload(AF_INET, 7, {10, 0, 0, 1}), address_payload(45, 7, {1}),
                 address_payload(AF_INET, 8, {10, 0, 0, 2})}};
    Socket socket = paper.socket();
    const auto addresses = list_addresses(socket, 7);
    ASSERT_TRUE(addresses) << addresses.error().message;
    EXPECT_EQ(*addresses, (std::vector<InterfaceAddress>{{7, *Address::parse("10.0.0.1"), 24}}));
    EXPECT_EQ(list_addresses(socket)->size(), 2u);
    paper.payloads = {address_payload(AF_INET, 7, Bytes(5))};
    EXPECT_FALSE(list_addresses(socket));
    EXPECT_EQ(parse_address({RTM_NEWADDR, 0, Bytes(3)}).error().code, Code::Malformed);
}

Bytes route_payload(uint8_t family, const std::function<void(Message&)>& fill, uint32_t flags = 0) {
    rtmsg head{};
    head.rtm_family = family;
    head.rtm_dst_len = family == AF_INET ? 16 : 64;
    head.rtm_protocol = 202;
    head.rtm_type = RTN_UNICAST;
    head.rtm_scope = RT_SCOPE_LINK;
    head.rtm_flags = flags;
    return payload_of(head, [&](Message& message) {
        message.put(RTA_TABLE, uint32_t{52000});
        fill(message);
    });
}

TEST(ParseRoute, ReadsWhatWeCompare) {
    const Bytes payload = route_payload(AF_INET, [](Message& message) {
        message.put_bytes(RTA_DST, Bytes{10, 100, 0, 0});
        message.put(RTA_OIF, uint32_t{7});
        message.put_bytes(RTA_PREFSRC, Bytes{10, 100, 0, 1});
    });
    const auto parsed = parse_route({RTM_NEWROUTE, 0, payload});
    ASSERT_TRUE(parsed) << parsed.error().message;
    ASSERT_TRUE(*parsed);
    Route wanted;
    wanted.destination = *Prefix::parse("10.100.0.0/16");
    wanted.table = 52000;
    wanted.ifindex = 7;
    wanted.preferred_source = *Address::parse("10.100.0.1");
    wanted.protocol = 202;
    wanted.scope = RT_SCOPE_LINK;
    EXPECT_EQ(**parsed, wanted);
}

TEST(ParseRoute, LeavesOutCachedOnesAndOtherFamilies) {
    const auto put = [](Message& message) { message.put_bytes(RTA_DST, Bytes{10, 100, 0, 0}); };
    const Bytes cached = route_payload(AF_INET, put, RTM_F_CLONED);
    EXPECT_FALSE(*parse_route({RTM_NEWROUTE, 0, cached}));
    EXPECT_EQ(parse_route({RTM_NEWROUTE, 0, Bytes(3)}).error().code, Code::Malformed);
    EXPECT_EQ(parse_route({1, 0, Bytes(16)}).error().code, Code::Malformed);
}

TEST(ListRoutes, AsksTheKernelToFilterAndChecksThatItDid) {
    Paper paper{RTM_NEWROUTE, {route_payload(AF_INET6, [](Message& message) {
                    Bytes destination(16);
                    destination[0] = 0xfd;
                    message.put_bytes(RTA_DST, destination);
                    message.put(RTA_OIF, uint32_t{7});
                })}};
    Socket socket = paper.socket();
    EXPECT_EQ(list_routes(socket, Family::V6, {.table = 52000, .ifindex = 7})->size(), 1u);
    rtmsg head{};
    auto attrs = after_header(ByteView(paper.request).subspan(NLMSG_HDRLEN), head);
    ASSERT_TRUE(attrs);
    EXPECT_EQ(head.rtm_family, AF_INET6);
    uint32_t table = 0;
    ASSERT_TRUE(attrs->next());
    EXPECT_EQ(attrs->type(), RTA_TABLE);
    attrs->read(table);
    EXPECT_EQ(table, 52000u);
    EXPECT_TRUE(list_routes(socket, Family::V6, {.table = 52001})->empty());
    EXPECT_TRUE(list_routes(socket, Family::V6, {.protocol = 3})->empty());
    EXPECT_TRUE(list_routes(socket, Family::V6, {.ifindex = 8})->empty());
    paper.payloads = {Bytes(3)};
    EXPECT_FALSE(list_routes(socket, Family::V6, {}));
}

Bytes rule_payload(uint8_t family, uint32_t flags, uint32_t suppressed, uint16_t extra = 0) {
    fib_rule_hdr head{};
    head.family = family;
    head.action = FR_ACT_TO_TBL;
    head.flags = flags;
    return payload_of(head, [&](Message& message) {
        message.put(FRA_TABLE, uint32_t{52000});
        message.put(FRA_PRIORITY, uint32_t{5200});
        message.put(FRA_FWMARK, uint32_t{0xca000000});
        message.put(FRA_FWMASK, uint32_t{0xff000000});
        message.put(FRA_SUPPRESS_PREFIXLEN, suppressed);
        message.put(FRA_PROTOCOL, uint8_t{202});
        message.put_flag(FRA_PAD);
        if (extra != 0) message.put(extra, uint32_t{1});
    });
}

TEST(ParseRule, ReadsOursAndMarksWhatItDoesNotKnow) {
    const Rule ours{.family = Family::V6,
                    .priority = 5200,
                    .table = 52000,
                    .fwmark = 0xca000000,
                    .fwmask = 0xff000000,
                    .is_inverted = true,
                    .protocol = 202};
    const Bytes plain = rule_payload(AF_INET6, FIB_RULE_INVERT, 0xffffffff);
    EXPECT_EQ(parse_rule({RTM_NEWRULE, 0, plain}), ours);
    const Bytes suppressing = rule_payload(AF_INET6, FIB_RULE_INVERT, 0);
    EXPECT_FALSE(parse_rule({RTM_NEWRULE, 0, suppressing})->is_plain);
    const Bytes newer = rule_payload(AF_INET6, FIB_RULE_INVERT, 0xffffffff, 500);
    EXPECT_FALSE(parse_rule({RTM_NEWRULE, 0, newer})->is_plain);
    const Bytes permanent = rule_payload(AF_INET6, FIB_RULE_PERMANENT, 0xffffffff);
    EXPECT_FALSE(parse_rule({RTM_NEWRULE, 0, permanent})->is_plain);
}

TEST(ParseRule, RefusesWhatIsNoRule) {
    EXPECT_EQ(parse_rule({RTM_NEWRULE, 0, Bytes(3)}).error().code, Code::Malformed);
    const Bytes other = rule_payload(AF_UNIX, 0, 0);
    EXPECT_EQ(parse_rule({RTM_NEWRULE, 0, other}).error().code, Code::Malformed);
    Bytes cut = rule_payload(AF_INET, 0, 0);
    cut.resize(cut.size() - 1);
    cut.push_back(0);
    cut.push_back(1);
    EXPECT_EQ(parse_rule({RTM_NEWRULE, 0, cut}).error().code, Code::Malformed);
}

// Every change goes out as one request of the right type, and its failure says what it was about.
TEST(Changes, AreOneRequestEachAndNameTheirObject) {
    uint16_t type = 0;
    auto socket = tests::scripted([&](ByteView sent, uint32_t seq) {
        std::memcpy(&type, sent.data() + offsetof(nlmsghdr, nlmsg_type), sizeof type);
        return Answers{{tests::ack(seq, EPERM)}};
    });
    const InterfaceAddress address{7, *Address::parse("fd00::1"), 128};
    Route route;
    route.destination = *Prefix::parse("10.0.0.0/8");
    route.gateway = *Address::parse("192.0.2.1");
    route.preferred_source = *Address::parse("10.0.0.1");
    route.metric = 5;
    const Rule rule{.priority = 5200, .table = 52000, .fwmark = 1, .fwmask = 1, .protocol = 202};

    EXPECT_EQ(add_link(socket, {.name = "cv-a", .kind = "wireguard", .mtu = 1420}).error().message,
              "add link cv-a of kind wireguard: Operation not permitted");
    EXPECT_EQ(type, RTM_NEWLINK);
    EXPECT_EQ(change_link(socket, 7, {.alias = "x", .up = false}).error().message,
              "change link 7: Operation not permitted");
    EXPECT_EQ(remove_link(socket, 7).error().message, "remove link 7: Operation not permitted");
    EXPECT_EQ(type, RTM_DELLINK);
    EXPECT_EQ(find_link(socket, "cv-a").error().message, "link cv-a: Operation not permitted");
    EXPECT_EQ(type, RTM_GETLINK);
    EXPECT_EQ(add_address(socket, address).error().message,
              "add address fd00::1/128 of link 7: Operation not permitted");
    EXPECT_EQ(type, RTM_NEWADDR);
    EXPECT_EQ(remove_address(socket, address).error().code, Code::Denied);
    EXPECT_EQ(type, RTM_DELADDR);
    EXPECT_EQ(add_route(socket, route).error().message,
              "set route 10.0.0.0/8 in table 254: Operation not permitted");
    EXPECT_EQ(replace_route(socket, route).error().code, Code::Denied);
    EXPECT_EQ(type, RTM_NEWROUTE);
    EXPECT_EQ(remove_route(socket, route).error().code, Code::Denied);
    EXPECT_EQ(type, RTM_DELROUTE);
    EXPECT_EQ(add_rule(socket, rule).error().message,
              "add rule 5200 to table 52000: Operation not permitted");
    EXPECT_EQ(type, RTM_NEWRULE);
    EXPECT_EQ(remove_rule(socket, rule).error().code, Code::Denied);
    EXPECT_EQ(list_rules(socket, Family::V6).error().message,
              "list rules: Operation not permitted");
}

// The kernel that runs this test, asked only for what changes nothing.
TEST(HereAndNow, TheKernelAnswersWithoutRoot) {
    auto generic = Socket::open(NETLINK_GENERIC);
    ASSERT_TRUE(generic) << generic.error().message;
    const auto control = GenericFamily::find(*generic, "nlctrl");
    ASSERT_TRUE(control) << control.error().message;
    EXPECT_EQ(control->message(3, NLM_F_DUMP).type(), control->id());
    EXPECT_EQ(GenericFamily::find(*generic, "no-such-family").error().code, Code::Unsupported);
    auto here = NetnsFd::current();
    ASSERT_TRUE(here);
    auto monitor = Monitor::open(NETLINK_ROUTE, *here, {RTNLGRP_LINK});
    ASSERT_TRUE(monitor) << monitor.error().message;
    EXPECT_FALSE(monitor->read()->overrun);
    EXPECT_EQ(Monitor::open(NETLINK_ROUTE, *here, {9999}).error().code, Code::Invalid);
    EXPECT_EQ(NetnsFd::open("/no/such/file").error().code, Code::NotFound);
    EXPECT_FALSE(Socket::open(12345));
}

}  // namespace
}  // namespace cvlan::netlink
