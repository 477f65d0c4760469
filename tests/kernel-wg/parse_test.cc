// SPDX-License-Identifier: Apache-2.0
#include "kernel-wg/parse.h"

#include <gtest/gtest.h>
#include <linux/wireguard.h>
#include <netinet/in.h>

#include <fstream>
#include <iterator>

#include "tests/support/sources.h"
#include "tests/support/wg_script.h"

namespace cvlan::wg {
namespace {

using netlink::AttrReader;
using netlink::Message;
using tests::wg_payload;

Bytes nest_of(const std::function<void(Message&)>& fill) {
    Message message(0, 0);
    fill(message);
    const ByteView payload = message.payload();
    return {payload.begin(), payload.end()};
}

std::array<uint8_t, 32> key(uint8_t first) {
    std::array<uint8_t, 32> bytes{};
    bytes[0] = first;
    return bytes;
}

void put_allowed_ip(Message& message, uint16_t family, const Bytes& address, uint8_t length) {
    message.nest(0, [&](Message& entry) {
        entry.put(WGALLOWEDIP_A_FAMILY, family);
        entry.put_bytes(WGALLOWEDIP_A_IPADDR, address);
        entry.put(WGALLOWEDIP_A_CIDR_MASK, length);
    });
}

Result<Peer> peer_with(const std::function<void(Message&)>& fill) {
    const Bytes bytes = nest_of([&](Message& message) {
        message.put(WGPEER_A_PUBLIC_KEY, key(1));
        fill(message);
    });
    return parse_peer(AttrReader(bytes));
}

TEST(ParsePeer, ReadsAllThatTheKernelSends) {
    const auto peer = peer_with([](Message& message) {
        sockaddr_in6 endpoint{};
        endpoint.sin6_family = AF_INET6;
        endpoint.sin6_port = htons(51820);
        endpoint.sin6_addr = IN6ADDR_LOOPBACK_INIT;
        message.put(WGPEER_A_PRESHARED_KEY, key(9));
        message.put(WGPEER_A_ENDPOINT, endpoint);
        message.put(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, uint16_t{25});
        message.put(WGPEER_A_LAST_HANDSHAKE_TIME, std::array<int64_t, 2>{1'700'000'000, 5'000'000});
        message.put(WGPEER_A_RX_BYTES, uint64_t{1} << 40);
        message.put(WGPEER_A_TX_BYTES, uint64_t{2});
        message.put(WGPEER_A_PROTOCOL_VERSION, uint32_t{1});
        message.nest(WGPEER_A_ALLOWEDIPS, [](Message& list) {
            put_allowed_ip(list, AF_INET, {10, 100, 0, 2}, 32);
            put_allowed_ip(list, AF_INET6, Bytes(16), 0);
        });
        message.put(999, uint32_t{1});  // from a newer kernel
    });
    ASSERT_TRUE(peer) << peer.error().message;
    EXPECT_EQ(peer->public_key, PublicKey(key(1)));
    EXPECT_EQ(peer->preshared_key.bytes()[0], 9);
    EXPECT_EQ(peer->endpoint->text(), "[::1]:51820");
    EXPECT_EQ(peer->keepalive_seconds, 25);
    EXPECT_EQ(rfc3339(*peer->last_handshake), "2023-11-14T22:13:20.005Z");
    EXPECT_EQ(peer->rx_bytes, uint64_t{1} << 40);
    EXPECT_EQ(peer->tx_bytes, 2u);
    EXPECT_EQ(peer->protocol_version, 1u);
    EXPECT_EQ(peer->allowed_ips,
              (std::vector<Prefix>{*Prefix::parse("10.100.0.2/32"), *Prefix::parse("::/0")}));
}

TEST(ParsePeer, ANewPeerHasNoHandshakeNoEndpointAndNoPresharedKey) {
    const auto peer = peer_with([](Message& message) {
        message.put(WGPEER_A_LAST_HANDSHAKE_TIME, std::array<int64_t, 2>{});
        message.put(WGPEER_A_PRESHARED_KEY, key(0));
    });
    ASSERT_TRUE(peer);
    EXPECT_FALSE(peer->last_handshake);
    EXPECT_FALSE(peer->endpoint);
    EXPECT_TRUE(peer->preshared_key.empty());
}

TEST(ParsePeer, RejectsAKeyOfTheWrongSize) {
    const auto bytes = nest_of([](auto& m) { m.put(WGPEER_A_PUBLIC_KEY, uint32_t{7}); });
    const auto peer = parse_peer(AttrReader(bytes));
    ASSERT_FALSE(peer);
    EXPECT_EQ(peer.error().code, Code::Malformed);
}

TEST(ParsePeer, RejectsAPeerWithoutAKey) {
    const auto bytes = nest_of([](auto& m) { m.put(WGPEER_A_RX_BYTES, uint64_t{7}); });
    EXPECT_EQ(parse_peer(AttrReader(bytes)).error().code, Code::Malformed);
}

TEST(ParsePeer, RejectsAHandshakeOutOfTime) {
    for (const auto& time : {std::array<int64_t, 2>{-1, 0},
                             {0, -1},
                             {0, 1'000'000'000},
                             {INT64_MAX, 0},
                             {253402300800, 0}}) {
        const auto peer = peer_with([&](Message& m) { m.put(WGPEER_A_LAST_HANDSHAKE_TIME, time); });
        EXPECT_EQ(peer.error().code, Code::Malformed) << time[0];
    }
    const auto cut =
        peer_with([](Message& m) { m.put(WGPEER_A_LAST_HANDSHAKE_TIME, uint64_t{1}); });
    EXPECT_EQ(cut.error().code, Code::Malformed);
}

TEST(ParsePeer, RejectsEndpointsThatAreNone) {
    for (const size_t size : {0u, 1u, 2u, 15u, 200u}) {
        Bytes address(size);
        if (size > 0) address[0] = AF_INET;
        const auto peer = peer_with([&](Message& m) { m.put_bytes(WGPEER_A_ENDPOINT, address); });
        EXPECT_EQ(peer.error().code, Code::Malformed) << size;
    }
    Bytes unix_socket(16);
    unix_socket[0] = AF_UNIX;
    const auto peer = peer_with([&](Message& m) { m.put_bytes(WGPEER_A_ENDPOINT, unix_socket); });
    EXPECT_EQ(peer.error().code, Code::Malformed);
}

TEST(ParseAllowedIps, RejectsWhatIsNoPrefix) {
    struct Case {
        uint16_t family;
        Bytes address;
        uint8_t length;
    };
    for (const Case& bad :
         {Case{AF_INET, Bytes(16), 32}, Case{AF_INET6, Bytes(4), 32}, Case{AF_INET, Bytes(4), 33},
          Case{AF_INET6, Bytes(16), 129}, Case{AF_INET, {}, 0}, Case{AF_INET, Bytes(5), 0}}) {
        const Bytes bytes =
            nest_of([&](Message& m) { put_allowed_ip(m, bad.family, bad.address, bad.length); });
        EXPECT_EQ(parse_allowed_ips(AttrReader(bytes)).error().code, Code::Malformed);
    }
    const Bytes wide = nest_of([](Message& m) {
        m.nest(0, [](Message& entry) { entry.put(WGALLOWEDIP_A_CIDR_MASK, uint32_t{1}); });
    });
    EXPECT_FALSE(parse_allowed_ips(AttrReader(wide)));
    EXPECT_FALSE(parse_allowed_ips(AttrReader(Bytes(3))));
    const Bytes inside_peer = nest_of([&](Message& m) {
        m.put(WGPEER_A_PUBLIC_KEY, key(1));
        m.put_bytes(WGPEER_A_ALLOWEDIPS, Bytes(3));
    });
    EXPECT_FALSE(parse_peer(AttrReader(inside_peer)));
}

TEST(ParseDevice, ReadsTheDeviceItself) {
    Device device;
    const Bytes bytes = wg_payload([](Message& message) {
        message.put(WGDEVICE_A_IFINDEX, uint32_t{7});
        message.put_string(WGDEVICE_A_IFNAME, "cv-a");
        message.put(WGDEVICE_A_PRIVATE_KEY, key(3));
        message.put(WGDEVICE_A_PUBLIC_KEY, key(4));
        message.put(WGDEVICE_A_LISTEN_PORT, uint16_t{51820});
        message.put(WGDEVICE_A_FWMARK, uint32_t{0xca000000});
    });
    ASSERT_TRUE(parse_device_message(bytes, device));
    EXPECT_EQ(device.ifindex, 7u);
    EXPECT_EQ(device.name, "cv-a");
    EXPECT_EQ(device.private_key.bytes()[0], 3);
    EXPECT_EQ(device.public_key, PublicKey(key(4)));
    EXPECT_EQ(device.listen_port, 51820);
    EXPECT_EQ(device.fwmark, 0xca000000);
}

Bytes message_of_peers(std::initializer_list<std::pair<uint8_t, uint8_t>> peers) {
    return wg_payload([&](Message& message) {
        message.nest(WGDEVICE_A_PEERS, [&](Message& list) {
            for (const auto& [name, host] : peers) {
                list.nest(0, [&](Message& peer) {
                    peer.put(WGPEER_A_PUBLIC_KEY, key(name));
                    peer.nest(WGPEER_A_ALLOWEDIPS, [&](Message& ips) {
                        put_allowed_ip(ips, AF_INET, {10, 0, 0, host}, 32);
                    });
                });
            }
        });
    });
}

TEST(ParseDevice, APeerSpreadOverMessagesIsOne) {
    Device device;
    ASSERT_TRUE(parse_device_message(message_of_peers({{1, 1}, {2, 2}}), device));
    ASSERT_TRUE(parse_device_message(message_of_peers({{2, 3}}), device));
    ASSERT_TRUE(parse_device_message(message_of_peers({{2, 4}, {3, 5}}), device));
    ASSERT_EQ(device.peers.size(), 3u);
    EXPECT_EQ(device.peers[1].allowed_ips,
              (std::vector<Prefix>{*Prefix::parse("10.0.0.2/32"), *Prefix::parse("10.0.0.3/32"),
                                   *Prefix::parse("10.0.0.4/32")}));
}

TEST(ParseDevice, RejectsWhatIsCutShort) {
    const Bytes whole = message_of_peers({{1, 1}, {2, 2}});
    size_t rejected = 0;
    for (size_t size = 0; size < whole.size(); ++size) {
        Device device;
        if (!parse_device_message(ByteView(whole).first(size), device)) ++rejected;
    }
    // All but the bare header, which is a device without anything.
    EXPECT_GE(rejected, whole.size() - 2);
    Device device;
    const Bytes bad_port = wg_payload([](Message& m) { m.put(WGDEVICE_A_LISTEN_PORT, 1); });
    EXPECT_FALSE(parse_device_message(bad_port, device));
    const Bytes bad_list = wg_payload([](Message& m) {
        m.put_bytes(WGDEVICE_A_PEERS, Bytes{1, 2, 3});
    });
    EXPECT_FALSE(parse_device_message(bad_list, device));
}

// Recorded from a 6.1 kernel by tests/kernel-wg/client_kernel.cc: one device, 120 peers, one of
// them with 700 allowed-ips; each message behind its length in host order.
TEST(ParseDevice, ReadsWhatARealKernelSent) {
    std::ifstream file(test::source_file("tests/data/wg_device_dump.bin"), std::ios::binary);
    ASSERT_TRUE(file);
    const Bytes all{std::istreambuf_iterator<char>(file), {}};
    Device device;
    size_t messages = 0;
    for (ByteView rest = all; rest.size() >= 4; ++messages) {
        uint32_t size = 0;
        std::memcpy(&size, rest.data(), sizeof size);
        ASSERT_LE(size, rest.size() - 4);
        ASSERT_TRUE(parse_device_message(rest.subspan(4, size), device));
        rest = rest.subspan(4 + size);
    }
    EXPECT_GT(messages, 1u);
    EXPECT_EQ(device.name, "cv-record");
    EXPECT_EQ(device.listen_port, 51820);
    ASSERT_EQ(device.peers.size(), 120u);
    size_t allowed_ips = 0;
    size_t largest = 0;
    for (const Peer& peer : device.peers) {
        allowed_ips += peer.allowed_ips.size();
        largest = std::max(largest, peer.allowed_ips.size());
        EXPECT_EQ(peer.keepalive_seconds, 25);
        EXPECT_TRUE(peer.endpoint);
    }
    EXPECT_EQ(largest, 700u);
    EXPECT_EQ(allowed_ips, 119u * 2 + 700u);
}

}  // namespace
}  // namespace cvlan::wg
