// SPDX-License-Identifier: Apache-2.0
#include "reach/udp_packet.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace cvlan::reach {
namespace {

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

// A packet of IPv4 around a datagram, with `options` more words in its header.
Bytes ipv4(const Endpoint& from, const Endpoint& to, ByteView payload, size_t options = 0) {
    Bytes packet(20 + options * 4, 0);
    packet[0] = static_cast<uint8_t>(0x40 | (5 + options));
    packet[9] = 17;
    std::copy(from.address.bytes().begin(), from.address.bytes().end(), packet.begin() + 12);
    std::copy(to.address.bytes().begin(), to.address.bytes().end(), packet.begin() + 16);
    const auto head = udp_head(from, to, payload);
    packet.insert(packet.end(), head.begin(), head.end());
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

TEST(UdpHead, HasTheChecksumThatAKernelPuts) {
    // 192.0.2.1:51820 to 198.51.100.7:3478, "hello", computed by other code than ours.
    const auto head = udp_head(at("192.0.2.1:51820"), at("198.51.100.7:3478"), as_bytes("hello"));
    EXPECT_EQ(hex(head), "ca6c0d96000df7c2");
}

TEST(UdpHead, CoversTheAddressesOfBothFamilies) {
    const auto one = udp_head(at("[2001:db8::1]:1"), at("[2001:db8::2]:2"), as_bytes("x"));
    const auto other = udp_head(at("[2001:db8::1]:1"), at("[2001:db8::3]:2"), as_bytes("x"));
    EXPECT_NE(one, other);
}

TEST(UdpHead, NeverSaysThatThereIsNoChecksum) {
    // The two bytes which bring the sum to 0xffff.
    const Endpoint from = at("0.0.0.0:0"), to = at("0.0.0.0:0");
    const Bytes payload{0xff, 0xda};
    const auto head = udp_head(from, to, payload);
    EXPECT_EQ(head[6], 0xff);
    EXPECT_EQ(head[7], 0xff);
}

TEST(ParseIpv4Udp, FindsTheDatagramBehindOptions) {
    for (const size_t options : {0, 1, 10}) {
        const Bytes packet =
            ipv4(at("192.0.2.1:1000"), at("192.0.2.2:2000"), as_bytes("abc"), options);
        const auto view = parse_ipv4_udp(packet);
        ASSERT_TRUE(view) << options;
        EXPECT_EQ(view->from.text(), "192.0.2.1");
        EXPECT_EQ(view->to.text(), "192.0.2.2");
        EXPECT_EQ(view->udp.source_port, 1000);
        EXPECT_EQ(view->udp.destination_port, 2000);
        EXPECT_EQ(as_text(view->udp.payload), "abc");
    }
}

TEST(ParseIpv4Udp, TakesNoPaddingForPayload) {
    Bytes packet = ipv4(at("192.0.2.1:1000"), at("192.0.2.2:2000"), as_bytes("abc"));
    packet.resize(packet.size() + 7, 0);  // Ethernet's shortest frame
    const auto view = parse_ipv4_udp(packet);
    ASSERT_TRUE(view);
    EXPECT_EQ(as_text(view->udp.payload), "abc");
}

TEST(ParseIpv4Udp, RefusesEveryPrefixOfAPacketAndAllBytes) {
    const Bytes packet = ipv4(at("192.0.2.1:1000"), at("192.0.2.2:2000"), as_bytes("abc"), 2);
    for (size_t size = 0; size < packet.size(); ++size)
        EXPECT_FALSE(parse_ipv4_udp(ByteView(packet).first(size))) << size;
    EXPECT_TRUE(rc::check("no packet reads beyond its end", [](Bytes bytes) {
        if (!bytes.empty()) bytes[0] = static_cast<uint8_t>(0x40 | (bytes[0] & 0x0f));
        const auto view = parse_ipv4_udp(bytes);
        if (view) RC_ASSERT(view->udp.payload.size() + 28 <= bytes.size());
    }));
}

}  // namespace
}  // namespace cvlan::reach
