// SPDX-License-Identifier: Apache-2.0
#include "kernel-wg/encode.h"

#include <gtest/gtest.h>
#include <linux/wireguard.h>
#include <rapidcheck.h>

#include <map>

#include "kernel-wg/client.h"
#include "kernel-wg/parse.h"
#include "tests/support/wg_script.h"

namespace cvlan::wg {
namespace {

using netlink::AttrReader;

const netlink::GenericFamily& family() {
    static const netlink::GenericFamily found = [] {
        auto socket = tests::wg_scripted(
            [](ByteView, uint32_t) { return std::vector<tests::Script::Answer>(); });
        return netlink::GenericFamily::find(socket, "wireguard").value();
    }();
    return found;
}

PublicKey key_number(uint32_t number) {
    PublicKey key;
    std::memcpy(key.writable().data(), &number, sizeof number);
    key.writable()[31] = 1;
    return key;
}

Prefix host(uint32_t number) { return Prefix::host(Address::parse("10.0.0.0")->plus(number)); }

// One peer of a SET message as the kernel would understand it.
struct Element {
    PublicKey key;
    uint32_t flags = 0;
    std::vector<Prefix> allowed_ips;
};

std::vector<Element> elements_of(ByteView payload) {
    std::vector<Element> elements;
    genlmsghdr head{};
    auto attrs = netlink::after_header(payload, head).value();
    while (attrs.next()) {
        if (attrs.type() != WGDEVICE_A_PEERS) continue;
        AttrReader peers = attrs.nested();
        while (peers.next()) {
            Element element;
            AttrReader peer = peers.nested();
            while (peer.next()) {
                if (peer.type() == WGPEER_A_PUBLIC_KEY) peer.read(element.key.writable());
                if (peer.type() == WGPEER_A_FLAGS) peer.read(element.flags);
                if (peer.type() == WGPEER_A_ALLOWEDIPS)
                    peer.read_nested(element.allowed_ips, parse_allowed_ips);
            }
            EXPECT_FALSE(peer.error());
            elements.push_back(std::move(element));
        }
        EXPECT_FALSE(peers.error());
    }
    EXPECT_FALSE(attrs.error());
    return elements;
}

// What the kernel holds after the messages, by the rules of drivers/net/wireguard/netlink.c.
std::map<PublicKey, std::vector<Prefix>> applied(const std::vector<PeersMessage>& parts) {
    std::map<PublicKey, std::vector<Prefix>> peers;
    for (const PeersMessage& part : parts) {
        EXPECT_FALSE(part.message.error());
        for (const Element& element : elements_of(part.message.payload())) {
            if (element.flags & WGPEER_F_REMOVE_ME) {
                peers.erase(element.key);
                continue;
            }
            if ((element.flags & WGPEER_F_UPDATE_ONLY) && !peers.contains(element.key)) continue;
            auto& list = peers[element.key];
            if (element.flags & WGPEER_F_REPLACE_ALLOWEDIPS) list.clear();
            list.insert(list.end(), element.allowed_ips.begin(), element.allowed_ips.end());
        }
    }
    return peers;
}

TEST(EncodePeers, NothingToChangeIsNoMessage) {
    EXPECT_TRUE(encode_peers(family(), "cv-a", {}).empty());
}

TEST(EncodePeers, AnAbsentFieldIsNotMentioned) {
    const PeerChange change{.public_key = key_number(1)};
    const auto parts = encode_peers(family(), "cv-a", {&change, 1});
    ASSERT_EQ(parts.size(), 1u);
    genlmsghdr head{};
    auto attrs = netlink::after_header(parts[0].message.payload(), head).value();
    EXPECT_EQ(head.cmd, WG_CMD_SET_DEVICE);
    ASSERT_TRUE(attrs.next());
    std::string name;
    attrs.read(name);
    EXPECT_EQ(name, "cv-a");
    ASSERT_TRUE(attrs.next());
    AttrReader peers = attrs.nested();
    ASSERT_TRUE(peers.next());
    AttrReader peer = peers.nested();
    ASSERT_TRUE(peer.next());
    EXPECT_EQ(peer.type(), WGPEER_A_PUBLIC_KEY);
    EXPECT_FALSE(peer.next());  // no flags, no keepalive, no list
}

TEST(EncodePeers, AnEmptyListOfAllowedIpsTakesThemAway) {
    const PeerChange change{.public_key = key_number(1), .allowed_ips = std::vector<Prefix>{}};
    const auto parts = encode_peers(family(), "cv-a", {&change, 1});
    const auto elements = elements_of(parts.at(0).message.payload());
    EXPECT_EQ(elements.at(0).flags, uint32_t{WGPEER_F_REPLACE_ALLOWEDIPS});
}

TEST(EncodePeers, WhatWasEncodedIsParsedBack) {
    EXPECT_TRUE(rc::check([](bool with_preshared, uint16_t keepalive, uint16_t port,
                             uint32_t count) {
        std::vector<Prefix> prefixes;
        for (uint32_t i = 0; i < count % 20; ++i) {
            prefixes.push_back(*Prefix::of(*Address::from_bytes(*rc::gen::container<Bytes>(
                                               i % 2 == 0 ? 4 : 16, rc::gen::arbitrary<uint8_t>())),
                                           *rc::gen::inRange<uint8_t>(0, i % 2 == 0 ? 33 : 129)));
        }
        std::vector<PeerChange> changes(1);
        changes[0].public_key = PublicKey(*rc::gen::arbitrary<std::array<uint8_t, 32>>());
        if (with_preshared) changes[0].preshared_key = generate_preshared_key();
        changes[0].keepalive_seconds = keepalive;
        changes[0].endpoint =
            Endpoint{*Address::parse(port % 2 ? "192.0.2.1" : "2001:db8::1"), port};
        changes[0].allowed_ips = prefixes;
        const auto parts = encode_peers(family(), "cv-a", changes);
        RC_ASSERT(parts.size() == 1u);
        Device device;
        // SET and GET share their attributes: our own message reads as a dump.
        RC_ASSERT(parse_device_message(parts[0].message.payload(), device).has_value());
        RC_ASSERT(device.peers.size() == 1u);
        const Peer& peer = device.peers[0];
        RC_ASSERT(peer.public_key == changes[0].public_key);
        RC_ASSERT(peer.keepalive_seconds == keepalive);
        RC_ASSERT(peer.endpoint == changes[0].endpoint);
        RC_ASSERT(peer.allowed_ips == prefixes);
        RC_ASSERT(peer.preshared_key.empty() != with_preshared);
        if (with_preshared) RC_ASSERT(peer.preshared_key == *changes[0].preshared_key);
    }));
}

TEST(EncodePeers, SplitsByBytesAndLosesNothing) {
    for (const uint32_t seed : {0u, 1u, 22u, 40320u, 3999u}) {
        std::vector<PeerChange> changes;
        std::map<PublicKey, std::vector<Prefix>> wanted;
        uint32_t next = seed % 1000;
        for (uint32_t i = 0; i < 400; ++i) {
            PeerChange change{.public_key = key_number(i), .allowed_ips = std::vector<Prefix>{}};
            for (uint32_t n = (seed * 31 + i * 17) % 23; n > 0; --n)
                change.allowed_ips->push_back(host(next++));
            if (i % 3 == 0) change.keepalive_seconds = 25;
            wanted[change.public_key] = *change.allowed_ips;
            changes.push_back(std::move(change));
        }
        const auto parts = encode_peers(family(), "cv-a", changes);
        ASSERT_TRUE(parts.size() >= 2u);
        ASSERT_TRUE(parts.front().first == 0u);
        ASSERT_TRUE(parts.back().last == 399u);
        ASSERT_TRUE(applied(parts) == wanted);
    }
}

TEST(EncodePeers, OnePeerMayFillManyMessages) {
    constexpr uint32_t kCount = 20000;
    std::vector<PeerChange> changes(3);
    for (uint32_t i = 0; i < 3; ++i) changes[i].public_key = key_number(i);
    changes[1].allowed_ips.emplace();
    for (uint32_t i = 0; i < kCount; ++i) changes[1].allowed_ips->push_back(host(i));
    const auto parts = encode_peers(family(), "cv-a", changes);
    EXPECT_GE(parts.size(), 9u);
    EXPECT_LE(parts.size(), 11u);  // messages are filled
    const auto peers = applied(parts);
    EXPECT_EQ(peers.size(), 3u);
    EXPECT_EQ(peers.at(key_number(1)), *changes[1].allowed_ips);
    EXPECT_EQ(parts[1].first, 1u);
    EXPECT_EQ(parts[1].last, 1u);
}

TEST(EncodePeers, AContinuedPeerIsNeitherClearedNorBroughtBack) {
    PeerChange change{.public_key = key_number(1), .allowed_ips = std::vector<Prefix>{}};
    for (uint32_t i = 0; i < 5000; ++i) change.allowed_ips->push_back(host(i));
    const auto parts = encode_peers(family(), "cv-a", {&change, 1});
    ASSERT_GT(parts.size(), 1u);
    EXPECT_EQ(elements_of(parts[0].message.payload())[0].flags,
              uint32_t{WGPEER_F_REPLACE_ALLOWEDIPS});
    EXPECT_EQ(elements_of(parts[1].message.payload())[0].flags, uint32_t{WGPEER_F_UPDATE_ONLY});
}

TEST(EncodePeers, AddedAllowedIpsLeaveTheOthers) {
    const PeerChange change{
        .public_key = key_number(1), .update_only = true, .add_allowed_ips = {host(1)}};
    const auto elements =
        elements_of(encode_peers(family(), "cv-a", {&change, 1}).at(0).message.payload());
    EXPECT_EQ(elements.at(0).flags, uint32_t{WGPEER_F_UPDATE_ONLY});
    EXPECT_EQ(elements.at(0).allowed_ips, std::vector<Prefix>{host(1)});
    const PeerChange gone{.public_key = key_number(1), .remove = true};
    EXPECT_EQ(
        elements_of(encode_peers(family(), "cv-a", {&gone, 1}).at(0).message.payload()).at(0).flags,
        uint32_t{WGPEER_F_REMOVE_ME});
}

TEST(EncodeDevice, NamesOnlyWhatChanges) {
    const auto bare = encode_device(family(), "cv-a", {});
    DeviceChange change;
    change.listen_port = 51820;
    change.fwmark = 0xca000000;
    change.private_key = generate_private_key();
    const auto full = encode_device(family(), "cv-a", change);
    Device device;
    ASSERT_TRUE(parse_device_message(bare.payload(), device));
    EXPECT_EQ(device.listen_port, 0);
    EXPECT_TRUE(device.private_key.empty());
    ASSERT_TRUE(parse_device_message(full.payload(), device));
    EXPECT_EQ(device.listen_port, 51820);
    EXPECT_EQ(device.fwmark, 0xca000000);
    EXPECT_TRUE(device.private_key == *change.private_key);
    EXPECT_GT(encode_device(family(), "cv-a", {.replace_peers = true}).size(), bare.size());
}

// --- the client over a scripted kernel ---

using Answers = std::vector<tests::Script::Answer>;

TEST(Client, NamesAKernelWithoutWireGuard) {
    auto client = Client::over(
        tests::scripted([](ByteView, uint32_t seq) { return Answers{{tests::ack(seq, ENOENT)}}; }));
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, Code::Unsupported);
    EXPECT_NE(client.error().message.find("kernel lacks wireguard"), std::string::npos);
}

TEST(Client, RefusesAFamilyWithoutAnId) {
    auto client = Client::over(tests::scripted([](ByteView, uint32_t seq) {
        return Answers{{tests::kernel_message(GENL_ID_CTRL, 0, seq, Bytes(4))}, {tests::ack(seq)}};
    }));
    EXPECT_EQ(client.error().code, Code::Malformed);
    auto cut = Client::over(tests::scripted([](ByteView, uint32_t seq) {
        return Answers{{tests::kernel_message(GENL_ID_CTRL, 0, seq, Bytes(3))}, {tests::ack(seq)}};
    }));
    EXPECT_EQ(cut.error().code, Code::Malformed);
    auto odd = Client::over(tests::scripted([](ByteView, uint32_t seq) {
        return Answers{{tests::kernel_message(GENL_ID_CTRL, 0, seq, Bytes(7))}, {tests::ack(seq)}};
    }));
    EXPECT_EQ(odd.error().code, Code::Malformed);
}

TEST(Client, ADeviceReadTwiceIsNotDoubled) {
    int attempt = 0;
    auto client = Client::over(tests::wg_scripted([&](ByteView, uint32_t seq) {
        const Bytes peers = tests::wg_payload([](netlink::Message& m) {
            m.nest(WGDEVICE_A_PEERS, [](netlink::Message& list) {
                list.nest(0, [](netlink::Message& peer) {
                    peer.put(WGPEER_A_PUBLIC_KEY, key_number(5).bytes());
                });
            });
        });
        const uint16_t flags = ++attempt == 1 ? NLM_F_DUMP_INTR : 0;
        return Answers{{tests::kernel_message(tests::kWgFamily, NLM_F_MULTI, seq, peers)},
                       {tests::done(seq, flags)}};
    }));
    ASSERT_TRUE(client);
    auto device = client->device("cv-a");
    ASSERT_TRUE(device);
    EXPECT_EQ(attempt, 2);
    EXPECT_EQ(device->peers.size(), 1u);
}

TEST(Client, AMissingDeviceIsNotFoundAndNamed) {
    auto client = Client::over(tests::wg_scripted(
        [](ByteView, uint32_t seq) { return Answers{{tests::ack(seq, ENODEV)}}; }));
    ASSERT_TRUE(client);
    EXPECT_EQ(client->device("cv-a").error().code, Code::NotFound);
    EXPECT_EQ(client->change_device("cv-a", {}).error().message, "wg cv-a: change: No such device");
    const PeerChange change{.public_key = key_number(1)};
    EXPECT_EQ(client->change_peer("cv-a", change).error().code, Code::NotFound);
    EXPECT_EQ(client->change_peers("cv-a", {&change, 1}).error().code, Code::NotFound);
}

// A kernel whose wireguard module was loaded again: the family has another number.
TEST(Client, FindsTheFamilyAgainWhenTheKernelHasNumberedItAnew) {
    uint16_t number = tests::kWgFamily;
    int lookups = 0;
    auto client = Client::over(tests::scripted([&](ByteView request, uint32_t seq) {
        nlmsghdr head;
        std::memcpy(&head, request.data(), sizeof head);
        if (head.nlmsg_type == GENL_ID_CTRL) {
            ++lookups;
            return number ? tests::family_answer(seq, number) : Answers{{tests::ack(seq, ENOENT)}};
        }
        if (head.nlmsg_type != number) return Answers{{tests::ack(seq, ENOENT)}};
        if ((head.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) return Answers{{tests::done(seq)}};
        return Answers{{tests::ack(seq)}};
    }));
    ASSERT_TRUE(client);
    const std::vector<PeerChange> changes(3);
    number = 41;
    EXPECT_TRUE(client->device("cv-a"));
    EXPECT_TRUE(client->device("cv-a"));
    EXPECT_EQ(lookups, 2);
    number = 42;
    EXPECT_TRUE(client->change_device("cv-a", {}));
    number = 43;
    EXPECT_TRUE(client->change_peer("cv-a", changes[0]));
    number = 44;
    const auto failures = client->change_peers("cv-a", changes);
    ASSERT_TRUE(failures);
    EXPECT_TRUE(failures->empty());
    EXPECT_EQ(lookups, 5);
    number = 0;
    EXPECT_EQ(client->device("cv-a").error().code, Code::Unsupported);
}

TEST(Client, OneBadPeerKeepsNoOtherOut) {
    const PublicKey bad = key_number(37);
    std::map<PublicKey, int> set;
    auto client = Client::over(tests::wg_scripted([&](ByteView request, uint32_t seq) {
        for (const Element& element : elements_of(request.subspan(NLMSG_HDRLEN))) {
            if (element.key == bad) return Answers{{tests::ack(seq, EINVAL)}};
            ++set[element.key];  // the kernel stops at the bad one and keeps what came before
        }
        return Answers{{tests::ack(seq)}};
    }));
    ASSERT_TRUE(client);
    std::vector<PeerChange> changes;
    for (uint32_t i = 0; i < 2000; ++i)
        changes.push_back(
            {.public_key = key_number(i), .allowed_ips = std::vector<Prefix>{host(i)}});
    auto failures = client->change_peers("cv-a", changes);
    ASSERT_TRUE(failures);
    ASSERT_EQ(failures->size(), 1u);
    EXPECT_EQ(failures->at(0).index, 37u);
    EXPECT_EQ(failures->at(0).error.code, Code::Invalid);
    EXPECT_EQ(set.size(), 1999u);
}

TEST(Client, AFaultInTheMiddleOfSingleTriesIsTheDevices) {
    int requests = 0;
    auto client = Client::over(tests::wg_scripted([&](ByteView, uint32_t seq) {
        return Answers{{tests::ack(seq, ++requests == 1 ? EINVAL : ENODEV)}};
    }));
    const std::vector<PeerChange> changes(3);
    EXPECT_EQ(client->change_peers("cv-a", changes).error().code, Code::NotFound);
    EXPECT_EQ(requests, 2);
}

}  // namespace
}  // namespace cvlan::wg
