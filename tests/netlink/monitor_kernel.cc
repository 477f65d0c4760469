// SPDX-License-Identifier: Apache-2.0
// The monitor, families and pipelined requests against a real kernel.
#include "netlink/monitor.h"

#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include "netlink/address.h"
#include "netlink/generic.h"
#include "netlink/link.h"
#include "tests/support/netns.h"

namespace cvlan::netlink {
namespace {

using testing::HasSubstr;
using tests::output_of;

class MonitorKernel : public tests::InOwnNetns {
protected:
    Socket socket(int protocol) { return std::move(Socket::open(protocol, netns()).value()); }
    Monitor monitor() {
        return std::move(Monitor::open(NETLINK_ROUTE, netns(),
                                       {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_RULE})
                             .value());
    }
};

bool is_readable(const Monitor& monitor) {
    pollfd ready{monitor.fd(), POLLIN, 0};
    return poll(&ready, 1, 0) == 1;
}

TEST_F(MonitorKernel, HearsOfChangesAndOfNothingElse) {
    Monitor heard = monitor();
    EXPECT_FALSE(is_readable(heard));
    EXPECT_EQ(heard.read()->messages, 0u);
    output_of("ip address add 10.0.0.1/8 dev lo");
    ASSERT_TRUE(is_readable(heard));
    std::vector<InterfaceAddress> addresses;
    auto got = heard.read([&](const Reply& reply) {
        if (reply.type == RTM_NEWADDR) addresses.push_back(*parse_address(reply));
    });
    ASSERT_TRUE(got);
    EXPECT_FALSE(got->overrun);
    ASSERT_EQ(addresses.size(), 1u);
    EXPECT_EQ(addresses[0], (InterfaceAddress{1, *Address::parse("10.0.0.1"), 8}));
    EXPECT_FALSE(is_readable(heard));
}

TEST_F(MonitorKernel, AFloodIsAnOverrunAndNotAnError) {
    Monitor heard = monitor();
    output_of(
        "{ for i in $(seq 1 6000); do echo address add 10.0.$((i / 250)).$((i % 250 + 1))/32 dev "
        "lo; echo address del 10.0.$((i / 250)).$((i % 250 + 1))/32 dev lo; done; } | ip -batch -");
    bool overrun = false;
    uint64_t messages = 0;
    int reads = 0;
    for (bool more = true; more && reads < 1000; ++reads) {
        auto got = heard.read();
        ASSERT_TRUE(got) << got.error().message;
        overrun = overrun || got->overrun;
        messages += got->messages;
        more = got->more;
    }
    EXPECT_TRUE(overrun);
    EXPECT_GE(heard.overruns(), 1u);
    EXPECT_GT(messages, 0u);
    EXPECT_GT(reads, 1);  // a flood does not hold the loop
    EXPECT_FALSE(is_readable(heard));
    output_of("ip address add 10.99.0.1/32 dev lo");
    EXPECT_EQ(heard.read()->messages, 1u);  // and it hears again
}

TEST_F(MonitorKernel, OtherProcessesAreNotHeard) {
    Monitor heard = monitor();
    sockaddr_nl mine{};
    socklen_t size = sizeof mine;
    getsockname(heard.fd(), reinterpret_cast<sockaddr*>(&mine), &size);
    Message forged(RTM_NEWADDR, 0);
    const ByteView bytes = forged.seal(0, 0);
    UniqueFd other(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    ASSERT_GT(sendto(other.get(), bytes.data(), bytes.size(), 0,
                     reinterpret_cast<const sockaddr*>(&mine), size),
              0);
    EXPECT_EQ(heard.read()->messages, 0u);
}

TEST_F(MonitorKernel, BelongsToTheNamespaceItWasOpenedIn) {
    const NetnsFd other = tests::new_netns();
    auto there = Monitor::open(NETLINK_ROUTE, other, {RTNLGRP_LINK});
    ASSERT_TRUE(there) << there.error().message;
    output_of("ip link set lo down");
    EXPECT_EQ(there->read()->messages, 0u);
    ASSERT_TRUE(other.run([]() -> Result<void> {
        output_of("ip link set lo up");
        return {};
    }));
    EXPECT_GE(there->read()->messages, 1u);
}

TEST_F(MonitorKernel, AFamilyIsFoundByName) {
    Socket generic = socket(NETLINK_GENERIC);
    auto control = GenericFamily::find(generic, "nlctrl");
    ASSERT_TRUE(control) << control.error().message;
    EXPECT_EQ(control->id(), 16);  // GENL_ID_CTRL
    EXPECT_GE(control->version(), 1);
}

TEST_F(MonitorKernel, AMissingFamilyIsNamed) {
    Socket generic = socket(NETLINK_GENERIC);
    auto missing = GenericFamily::find(generic, "no-such-family");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Code::Unsupported);
    EXPECT_THAT(missing.error().message, HasSubstr("kernel lacks no-such-family"));
}

TEST_F(MonitorKernel, ManyRequestsInFlightAllGetTheirAcks) {
    Socket route = socket(NETLINK_ROUTE);
    std::vector<Message> messages;
    for (uint32_t i = 0; i < 1000; ++i) {
        Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
        ifaddrmsg head{};
        head.ifa_family = AF_INET;
        head.ifa_prefixlen = 32;
        head.ifa_index = 1;
        message.put_header(head);
        const Address address = Address::parse("10.0.0.0")->plus(i / 2);  // every second is double
        message.put_bytes(IFA_LOCAL, address.bytes());
        messages.push_back(std::move(message));
    }
    const auto results = route.request_all(messages);
    ASSERT_EQ(results.size(), 1000u);
    for (size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].has_value(), i % 2 == 0) << i;
    EXPECT_EQ(results[1].error().code, Code::Exists);
    EXPECT_EQ(list_addresses(route, 1)->size(), 501u + 1u);  // 127.0.0.1, ::1
}

TEST_F(MonitorKernel, ASocketOfAnotherNamespaceSeesItsLinks) {
    output_of("ip link add cv-a type veth peer name cv-b");
    const NetnsFd other = tests::new_netns();
    Socket there = std::move(Socket::open(NETLINK_ROUTE, other).value());
    EXPECT_EQ(list_links(there)->size(), 1u);
    EXPECT_EQ(NetnsFd::named("no-such-name").error().code, Code::NotFound);
    EXPECT_TRUE(NetnsFd::of_process(getpid()));
}

}  // namespace
}  // namespace cvlan::netlink
