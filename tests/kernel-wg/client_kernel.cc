// SPDX-License-Identifier: Apache-2.0
// The client against the kernel's WireGuard, with wg(8) as the independent reader and writer.
#include "kernel-wg/client.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "netlink/link.h"
#include "tests/support/netns.h"

namespace cvlan::wg {
namespace {

using testing::HasSubstr;
using tests::output_of;

PublicKey key_number(uint32_t number) {
    PublicKey key;
    std::memcpy(key.writable().data(), &number, sizeof number);
    key.writable()[30] = 7;
    return key;
}

Prefix prefix(std::string_view text) { return *Prefix::parse(text); }
Prefix host(uint32_t number) { return Prefix::host(Address::parse("10.0.0.0")->plus(number)); }

std::vector<Prefix> sorted(std::vector<Prefix> prefixes) {
    std::sort(prefixes.begin(), prefixes.end());
    return prefixes;
}

std::vector<std::string> fields_of(const std::string& line, char separator) {
    std::vector<std::string> fields;
    std::istringstream stream(line);
    for (std::string field; std::getline(stream, field, separator);) fields.push_back(field);
    return fields;
}

// `wg show … dump`: the device's line first, then one a peer.
std::vector<std::vector<std::string>> dump_of(const std::string& name) {
    std::vector<std::vector<std::string>> lines;
    for (const std::string& line : fields_of(output_of("wg show " + name + " dump"), '\n'))
        lines.push_back(fields_of(line, '\t'));
    return lines;
}

class WireGuard : public tests::InOwnNetns {
protected:
    void SetUp() override {
        InOwnNetns::SetUp();
        auto client = Client::open(netns());
        ASSERT_TRUE(client) << client.error().message;
        client_ = std::make_unique<Client>(std::move(*client));
        auto route = netlink::Socket::open(NETLINK_ROUTE, netns());
        ASSERT_TRUE(route);
        route_ = std::make_unique<netlink::Socket>(std::move(*route));
        auto made = netlink::add_link(*route_, {.name = "cv-a", .kind = "wireguard"});
        ASSERT_TRUE(made) << made.error().message;
    }
    Client& client() { return *client_; }
    netlink::Socket& route() { return *route_; }
    Device device() {
        auto read = client().device("cv-a");
        EXPECT_TRUE(read) << read.error().message;
        return read ? std::move(*read) : Device();
    }
    void set(const std::vector<PeerChange>& changes) {
        auto failures = client().change_peers("cv-a", changes);
        ASSERT_TRUE(failures) << failures.error().message;
        EXPECT_TRUE(failures->empty());
    }

private:
    std::unique_ptr<Client> client_;
    std::unique_ptr<netlink::Socket> route_;
};

TEST_F(WireGuard, SetsWhatWgReads) {
    const PrivateKey secret = generate_private_key();
    const PresharedKey shared = generate_preshared_key();
    DeviceChange change;
    change.private_key = secret.clone();
    change.listen_port = 51820;
    change.fwmark = 0xca000000;
    ASSERT_TRUE(client().change_device("cv-a", change));
    PeerChange peer;
    peer.public_key = key_number(1);
    peer.preshared_key = shared.clone();
    peer.endpoint = *Endpoint::parse("[2001:db8::1]:4711");
    peer.keepalive_seconds = 25;
    peer.allowed_ips = std::vector<Prefix>{prefix("10.1.0.0/16"), prefix("fd00::/64")};
    ASSERT_TRUE(client().change_peer("cv-a", peer));

    const auto lines = dump_of("cv-a");
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0],
              (std::vector<std::string>{secret_key_text(secret).reveal(),
                                        public_key_of(secret)->text(), "51820", "0xca000000"}));
    EXPECT_EQ(lines[1], (std::vector<std::string>{
                            key_number(1).text(), secret_key_text(shared).reveal(),
                            "[2001:db8::1]:4711", "10.1.0.0/16,fd00::/64", "0", "0", "0", "25"}));
}

TEST_F(WireGuard, ReadsWhatWgSets) {
    output_of("wg genkey > /dev/shm/cvlan-key && wg genpsk > /dev/shm/cvlan-psk");
    output_of("wg set cv-a private-key /dev/shm/cvlan-key listen-port 7777 fwmark 0x10 peer " +
              key_number(1).text() +
              " preshared-key /dev/shm/cvlan-psk endpoint 192.0.2.1:9 persistent-keepalive 7 "
              "allowed-ips 10.0.0.1/32,::/0");
    const auto lines = dump_of("cv-a");
    output_of("rm /dev/shm/cvlan-key /dev/shm/cvlan-psk");
    const Device read = device();
    EXPECT_EQ(read.name, "cv-a");
    EXPECT_EQ(static_cast<int>(read.ifindex), netlink::find_link(route(), "cv-a")->index);
    EXPECT_EQ(secret_key_text(read.private_key).reveal(), lines[0][0]);
    EXPECT_EQ(read.public_key.text(), lines[0][1]);
    EXPECT_EQ(read.listen_port, 7777);
    EXPECT_EQ(read.fwmark, 0x10u);
    ASSERT_EQ(read.peers.size(), 1u);
    const Peer& peer = read.peers[0];
    EXPECT_EQ(secret_key_text(peer.preshared_key).reveal(), lines[1][1]);
    EXPECT_EQ(peer.endpoint->text(), "192.0.2.1:9");
    EXPECT_EQ(peer.keepalive_seconds, 7);
    EXPECT_EQ(peer.protocol_version, 1u);
    EXPECT_FALSE(peer.last_handshake);
    EXPECT_EQ(sorted(peer.allowed_ips), sorted({prefix("10.0.0.1/32"), prefix("::/0")}));
}

TEST_F(WireGuard, AnAbsentFieldIsLeftAlone) {
    PeerChange whole;
    whole.public_key = key_number(1);
    whole.preshared_key = generate_preshared_key();
    whole.endpoint = *Endpoint::parse("192.0.2.1:9");
    whole.keepalive_seconds = 25;
    whole.allowed_ips = std::vector<Prefix>{host(1)};
    ASSERT_TRUE(client().change_peer("cv-a", whole));
    ASSERT_TRUE(client().change_device("cv-a", {.listen_port = 7777}));
    ASSERT_TRUE(client().change_peer("cv-a", {.public_key = key_number(1)}));
    ASSERT_TRUE(client().change_device("cv-a", {.fwmark = 5}));
    Device read = device();
    EXPECT_EQ(read.listen_port, 7777);
    EXPECT_TRUE(read.peers.at(0).preshared_key == *whole.preshared_key);
    EXPECT_EQ(read.peers[0].endpoint, whole.endpoint);
    EXPECT_EQ(read.peers[0].keepalive_seconds, 25);
    EXPECT_EQ(read.peers[0].allowed_ips, *whole.allowed_ips);

    PeerChange taken{.public_key = key_number(1)};
    taken.preshared_key = PresharedKey();
    taken.keepalive_seconds = 0;
    taken.allowed_ips = std::vector<Prefix>{};
    ASSERT_TRUE(client().change_peer("cv-a", taken));
    read = device();
    EXPECT_TRUE(read.peers.at(0).preshared_key.empty());
    EXPECT_EQ(read.peers[0].keepalive_seconds, 0);
    EXPECT_TRUE(read.peers[0].allowed_ips.empty());
    EXPECT_EQ(read.peers[0].endpoint, whole.endpoint);
}

TEST_F(WireGuard, PeersGoAndAnUpdateMakesNone) {
    set({});
    std::vector<PeerChange> changes;
    for (uint32_t i = 0; i < 3; ++i)
        changes.push_back({.public_key = key_number(i), .allowed_ips = std::vector{host(i)}});
    set(changes);
    ASSERT_TRUE(client().change_peer("cv-a", {.public_key = key_number(1), .remove = true}));
    ASSERT_TRUE(client().change_peer("cv-a", {.public_key = key_number(1), .remove = true}));
    ASSERT_TRUE(client().change_peer("cv-a", {.public_key = key_number(9), .update_only = true}));
    std::set<PublicKey> left;
    for (const Peer& peer : device().peers) left.insert(peer.public_key);
    EXPECT_EQ(left, (std::set<PublicKey>{key_number(0), key_number(2)}));
    ASSERT_TRUE(client().change_device("cv-a", {.replace_peers = true}));
    EXPECT_TRUE(device().peers.empty());
}

TEST_F(WireGuard, AllowedIpsAreAddedOrReplaced) {
    ASSERT_TRUE(client().change_peer(
        "cv-a", {.public_key = key_number(1), .allowed_ips = std::vector{host(1)}}));
    ASSERT_TRUE(client().change_peer(
        "cv-a", {.public_key = key_number(1), .add_allowed_ips = {host(2), host(3)}}));
    EXPECT_EQ(sorted(device().peers.at(0).allowed_ips), (std::vector{host(1), host(2), host(3)}));
    ASSERT_TRUE(client().change_peer(
        "cv-a", {.public_key = key_number(1), .allowed_ips = std::vector{host(4)}}));
    EXPECT_EQ(device().peers.at(0).allowed_ips, std::vector{host(4)});
    // A prefix that another peer takes leaves the first.
    ASSERT_TRUE(client().change_peer(
        "cv-a", {.public_key = key_number(2), .allowed_ips = std::vector{host(4)}}));
    for (const Peer& peer : device().peers)
        EXPECT_EQ(peer.allowed_ips.size(), peer.public_key == key_number(2) ? 1u : 0u);
}

TEST_F(WireGuard, AThousandPeersComeBackExactly) {
    std::vector<PeerChange> changes;
    std::map<PublicKey, std::vector<Prefix>> wanted;
    for (uint32_t i = 0; i < 1000; ++i) {
        PeerChange change{.public_key = key_number(i)};
        change.endpoint = Endpoint{Address::parse("192.0.2.0")->plus(i % 250), 51820};
        change.keepalive_seconds = 25;
        change.allowed_ips = std::vector{host(i), Prefix::host(Address::parse("fd00::")->plus(i))};
        wanted[change.public_key] = *change.allowed_ips;
        changes.push_back(std::move(change));
    }
    set(changes);
    std::map<PublicKey, std::vector<Prefix>> got;
    for (const Peer& peer : device().peers) got[peer.public_key] = sorted(peer.allowed_ips);
    EXPECT_EQ(got, wanted);
    EXPECT_EQ(dump_of("cv-a").size(), 1001u);
}

TEST_F(WireGuard, OnePeerHoldsEveryAddressOfASlashFifteen) {
    constexpr uint32_t kCount = 131072;
    std::vector<PeerChange> changes(3);
    for (uint32_t i = 0; i < 3; ++i) changes[i].public_key = key_number(i);
    std::vector<Prefix> all;
    for (uint32_t i = 0; i < kCount; ++i) all.push_back(host(i));
    changes[1].allowed_ips = all;
    set(changes);
    const Device read = device();
    ASSERT_EQ(read.peers.size(), 3u);
    for (const Peer& peer : read.peers) {
        if (peer.public_key == key_number(1)) {
            EXPECT_EQ(sorted(peer.allowed_ips), all);
        } else {
            EXPECT_TRUE(peer.allowed_ips.empty());
        }
    }
}

TEST_F(WireGuard, WhatIsNoDeviceOfOursIsSaid) {
    EXPECT_EQ(client().device("cv-none").error().code, Code::NotFound);
    EXPECT_THAT(client().device("cv-none").error().message, HasSubstr("wg cv-none"));
    EXPECT_EQ(client().device("lo").error().code, Code::Unsupported);
    EXPECT_EQ(client().change_device("lo", {}).error().code, Code::Unsupported);
    EXPECT_FALSE(client().device("a-name-that-is-far-too-long"));
}

TEST_F(WireGuard, ATakenPortIsExists) {
    ASSERT_TRUE(
        netlink::change_link(route(), netlink::find_link(route(), "cv-a")->index, {.up = true}));
    const UniqueFd holder(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const Endpoint any = *Endpoint::parse("0.0.0.0:51820");
    sockaddr_storage storage{};
    const socklen_t size = any.to_sockaddr(storage);
    ASSERT_EQ(bind(holder.get(), reinterpret_cast<const sockaddr*>(&storage), size), 0);
    auto changed = client().change_device("cv-a", {.listen_port = 51820});
    ASSERT_FALSE(changed);
    EXPECT_EQ(changed.error().code, Code::Exists);
    EXPECT_EQ(changed.error().sys_errno, EADDRINUSE);
}

TEST_F(WireGuard, TheNthRequestFailsAtTheSocket) {
    netlink::Tally tally;
    client().socket().set_tally(&tally);
    tally.fail_nth = 1;
    tally.fail_errno = EBUSY;
    const PeerChange change{.public_key = key_number(1)};
    EXPECT_EQ(client().change_peer("cv-a", change).error().code, Code::Unavailable);
    EXPECT_TRUE(device().peers.empty());
    tally.fail_nth = 1;
    tally.fail_after = true;
    EXPECT_EQ(client().change_peer("cv-a", change).error().code, Code::Unavailable);
    EXPECT_EQ(device().peers.size(), 1u);  // done, but not acknowledged
    EXPECT_EQ(tally.writes, 2u);
    EXPECT_EQ(tally.reads, 2u);
}

TEST_F(WireGuard, ADeviceThatMovedKeepsItsPeers) {
    ASSERT_TRUE(client().change_peer("cv-a", {.public_key = key_number(1)}));
    const netlink::NetnsFd other = tests::new_netns();
    ASSERT_TRUE(netlink::change_link(route(), netlink::find_link(route(), "cv-a")->index,
                                     {.netns = &other}));
    EXPECT_EQ(client().device("cv-a").error().code, Code::NotFound);
    auto there = Client::open(other);
    ASSERT_TRUE(there) << there.error().message;
    EXPECT_EQ(there->device("cv-a")->peers.size(), 1u);
}

// With CVLAN_RECORD=FILE, keeps what the kernel answers for tests/data/wg_device_dump.bin.
TEST_F(WireGuard, RecordsADump) {
    ASSERT_TRUE(netlink::change_link(route(), netlink::find_link(route(), "cv-a")->index,
                                     {.name = "cv-record"}));
    std::vector<PeerChange> changes;
    for (uint32_t i = 0; i < 120; ++i) {
        PeerChange change{.public_key = key_number(i)};
        change.endpoint = Endpoint{Address::parse("192.0.2.0")->plus(i), 51820};
        change.keepalive_seconds = 25;
        change.allowed_ips.emplace();
        for (uint32_t n = 0; n < (i == 60 ? 700u : 2u); ++n)
            change.allowed_ips->push_back(host(i * 1000 + n));
        changes.push_back(std::move(change));
    }
    ASSERT_TRUE(client().change_device("cv-record", {.listen_port = 51820}));
    ASSERT_TRUE(client().change_peers("cv-record", changes));
    auto family = netlink::GenericFamily::find(client().socket(), "wireguard");
    ASSERT_TRUE(family);
    netlink::Message message = family->message(0, 0);  // WG_CMD_GET_DEVICE
    message.put_string(2, "cv-record");                // WGDEVICE_A_IFNAME
    std::string recorded;
    ASSERT_TRUE(client().socket().dump(
        message, [&] { recorded.clear(); },
        [&](const netlink::Reply& reply) -> Result<void> {
            const auto size = static_cast<uint32_t>(reply.payload.size());
            recorded.append(reinterpret_cast<const char*>(&size), sizeof size);
            recorded.append(as_text(reply.payload));
            return {};
        }));
    EXPECT_GT(recorded.size(), 30000u);
    const char* path = std::getenv("CVLAN_RECORD");
    if (path != nullptr) std::ofstream(path, std::ios::binary) << recorded;
}

}  // namespace
}  // namespace cvlan::wg
