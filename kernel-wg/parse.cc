// SPDX-License-Identifier: Apache-2.0
#include "kernel-wg/parse.h"

#include <linux/genetlink.h>
#include <linux/wireguard.h>

#include <algorithm>
#include <iterator>

namespace cvlan::wg {

namespace {

using netlink::AttrReader;

// The kernel's struct __kernel_timespec; all zero before the first handshake.
struct Timespec {
    int64_t seconds;
    int64_t nanoseconds;
};
// So that milliseconds since 1970 fit: the year 9999.
constexpr int64_t kLastSecond = 253402300799;

void read_handshake(AttrReader& attrs, Peer& peer) {
    Timespec time{};
    attrs.read_struct(time);
    if (attrs.error()) return;
    if (time.seconds < 0 || time.seconds > kLastSecond || time.nanoseconds < 0 ||
        time.nanoseconds > 999'999'999) {
        attrs.fault("time of a handshake out of range");
        return;
    }
    if (time.seconds == 0 && time.nanoseconds == 0) return;
    peer.last_handshake = from_unix_ms(time.seconds * 1000 + time.nanoseconds / 1'000'000);
}

void read_endpoint(AttrReader& attrs, Peer& peer) {
    sockaddr_storage storage{};
    const ByteView from = attrs.payload();
    if (from.size() < sizeof(sa_family_t) || from.size() > sizeof storage) {
        attrs.fault("endpoint of bad size");
        return;
    }
    std::memcpy(&storage, from.data(), from.size());
    auto endpoint = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage),
                                            static_cast<socklen_t>(from.size()));
    if (!endpoint) {
        attrs.fault("endpoint that is no address");
        return;
    }
    peer.endpoint = *endpoint;
}

void read_allowed_ip(AttrReader& attrs, std::vector<Prefix>& prefixes) {
    uint16_t family = 0;
    uint8_t length = 0;
    ByteView bytes;
    while (attrs.next()) {
        switch (attrs.type()) {
            case WGALLOWEDIP_A_FAMILY:
                attrs.read(family);
                break;
            case WGALLOWEDIP_A_IPADDR:
                bytes = attrs.payload();
                break;
            case WGALLOWEDIP_A_CIDR_MASK:
                attrs.read(length);
                break;
        }
    }
    if (attrs.error()) return;
    const auto address = Address::from_bytes(bytes);
    if (!address || address->af() != family) {
        attrs.fault("allowed-ip whose address is not of its family");
        return;
    }
    const auto prefix = Prefix::of(*address, length);
    if (prefix) {
        prefixes.push_back(*prefix);
    } else {
        attrs.fault("allowed-ip whose mask is too long");
    }
}

void read_allowed_ips(AttrReader& attrs, std::vector<Prefix>& prefixes) {
    prefixes.reserve(2);  // an IPv4 and an IPv6 address, as a rule
    while (attrs.next())
        attrs.walk_nested([&](AttrReader& one) { read_allowed_ip(one, prefixes); });
}

// In place: a peer is large, and has a key to wipe wherever it is moved from.
void read_peer(AttrReader& attrs, Peer& peer) {
    bool has_key = false;
    while (attrs.next()) {
        switch (attrs.type()) {
            case WGPEER_A_PUBLIC_KEY:
                attrs.read(peer.public_key.writable());
                has_key = true;
                break;
            case WGPEER_A_PRESHARED_KEY:
                attrs.read(peer.preshared_key);
                break;
            case WGPEER_A_ENDPOINT:
                read_endpoint(attrs, peer);
                break;
            case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
                attrs.read(peer.keepalive_seconds);
                break;
            case WGPEER_A_LAST_HANDSHAKE_TIME:
                read_handshake(attrs, peer);
                break;
            case WGPEER_A_RX_BYTES:
                attrs.read(peer.rx_bytes);
                break;
            case WGPEER_A_TX_BYTES:
                attrs.read(peer.tx_bytes);
                break;
            case WGPEER_A_ALLOWEDIPS:
                attrs.walk_nested(
                    [&](AttrReader& ips) { read_allowed_ips(ips, peer.allowed_ips); });
                break;
            case WGPEER_A_PROTOCOL_VERSION:
                attrs.read(peer.protocol_version);
                break;
        }
    }
    if (!has_key) attrs.fault("peer without a public key");
}

// A continued peer carries its key and further allowed-ips alone (drivers/net/wireguard/netlink.c:
// get_peer()).
bool goes_on(const std::vector<Peer>& peers) {
    const size_t size = peers.size();
    return size > 1 && peers[size - 2].public_key == peers[size - 1].public_key;
}

void join_last(std::vector<Peer>& peers) {
    auto& known = peers[peers.size() - 2].allowed_ips;
    const auto& more = peers.back().allowed_ips;
    known.insert(known.end(), more.begin(), more.end());
    peers.pop_back();
}

void read_peers(AttrReader& attrs, size_t bytes, std::vector<Peer>& peers) {
    constexpr size_t kUsualPeer = 200;  // bytes of a peer with two allowed-ips
    const size_t expected = peers.size() + bytes / kUsualPeer;
    if (peers.capacity() < expected) peers.reserve(4 * expected);
    while (attrs.next()) {
        attrs.walk_nested([&](AttrReader& one) { read_peer(one, peers.emplace_back()); });
        if (!attrs.error() && goes_on(peers)) join_last(peers);
    }
}

}  // namespace

Result<std::vector<Prefix>> parse_allowed_ips(AttrReader attrs) {
    std::vector<Prefix> prefixes;
    read_allowed_ips(attrs, prefixes);
    if (attrs.error()) return failed(*attrs.error());
    return prefixes;
}

Result<Peer> parse_peer(AttrReader attrs) {
    Peer peer;
    read_peer(attrs, peer);
    if (attrs.error()) return failed(*attrs.error());
    return peer;
}

Result<void> parse_device_message(ByteView payload, Device& device) {
    genlmsghdr head{};
    auto attrs = netlink::after_header(payload, head);
    if (!attrs) return failed(attrs.error());
    while (attrs->next()) {
        switch (attrs->type()) {
            case WGDEVICE_A_IFINDEX:
                attrs->read(device.ifindex);
                break;
            case WGDEVICE_A_IFNAME:
                attrs->read(device.name);
                break;
            case WGDEVICE_A_PRIVATE_KEY:
                attrs->read(device.private_key);
                break;
            case WGDEVICE_A_PUBLIC_KEY:
                attrs->read(device.public_key.writable());
                break;
            case WGDEVICE_A_LISTEN_PORT:
                attrs->read(device.listen_port);
                break;
            case WGDEVICE_A_FWMARK:
                attrs->read(device.fwmark);
                break;
            case WGDEVICE_A_PEERS:
                attrs->walk_nested([&](AttrReader& peers) {
                    read_peers(peers, attrs->payload().size(), device.peers);
                });
                break;
        }
    }
    if (attrs->error()) return failed(*attrs->error());
    return {};
}

}  // namespace cvlan::wg
