// SPDX-License-Identifier: Apache-2.0
#include "kernel-wg/encode.h"

#include <linux/wireguard.h>
#include <netinet/in.h>

#include <algorithm>

namespace cvlan::wg {

namespace {

using netlink::Message;

// The most that one change takes beside its allowed-ips: nest, key, preshared key, flags,
// endpoint, keepalive, and the nest of allowed-ips.
constexpr size_t kPeerRoom = 2 * Message::attr_size(kKeySize) + Message::attr_size(4) +
                             Message::attr_size(sizeof(sockaddr_in6)) + Message::attr_size(2) +
                             2 * Message::attr_size(0);
constexpr size_t kAllowedIpRoom =
    Message::attr_size(0) + Message::attr_size(2) + Message::attr_size(16) + Message::attr_size(1);

Message device_message(const netlink::GenericFamily& family, std::string_view ifname) {
    Message message = family.message(WG_CMD_SET_DEVICE, 0);
    message.put_string(WGDEVICE_A_IFNAME, ifname);
    return message;
}

void put_allowed_ip(Message& message, const Prefix& prefix) {
    message.nest(0, [&](Message& entry) {  // the type of an array element is only its index
        entry.put(WGALLOWEDIP_A_FAMILY, static_cast<uint16_t>(prefix.address().af()));
        entry.put_bytes(WGALLOWEDIP_A_IPADDR, prefix.address().bytes());
        entry.put(WGALLOWEDIP_A_CIDR_MASK, prefix.length());
    });
}

void put_endpoint(Message& message, const Endpoint& endpoint) {
    sockaddr_storage storage{};
    const socklen_t size = endpoint.to_sockaddr(storage);
    message.put_bytes(WGPEER_A_ENDPOINT, {reinterpret_cast<const uint8_t*>(&storage), size});
}

uint32_t flags_of(const PeerChange& change) {
    uint32_t flags = 0;
    if (change.remove) flags |= WGPEER_F_REMOVE_ME;
    if (change.update_only) flags |= WGPEER_F_UPDATE_ONLY;
    // Without this flag the kernel adds to the list it has.
    if (change.allowed_ips) flags |= WGPEER_F_REPLACE_ALLOWEDIPS;
    return flags;
}

// Fills messages one after the other, opening the next when the list of peers is full.
class Splitter {
public:
    Splitter(const netlink::GenericFamily& family, std::string_view ifname)
        : family_(family), ifname_(ifname) {}

    void put(const PeerChange& change, size_t index) {
        start_peer(change, index);
        if (change.allowed_ips) put_all(change, *change.allowed_ips, index);
        put_all(change, change.add_allowed_ips, index);
        end_peer();
    }

    std::vector<PeersMessage> finish() {
        end_message();
        return std::move(messages_);
    }

private:
    void put_all(const PeerChange& change, const std::vector<Prefix>& prefixes, size_t index) {
        for (const Prefix& prefix : prefixes) {
            if (room() < kAllowedIpRoom) continue_peer(change, index);
            if (allowed_ips_ == 0) allowed_ips_ = message().open_nest(WGPEER_A_ALLOWEDIPS);
            put_allowed_ip(message(), prefix);
        }
    }

    void start_peer(const PeerChange& change, size_t index) {
        open_peer(index, kPeerRoom + kAllowedIpRoom);
        message().put(WGPEER_A_PUBLIC_KEY, change.public_key.bytes());
        const uint32_t flags = flags_of(change);
        if (flags != 0) message().put(WGPEER_A_FLAGS, flags);
        if (change.preshared_key) message().put(WGPEER_A_PRESHARED_KEY, *change.preshared_key);
        if (change.endpoint) put_endpoint(message(), *change.endpoint);
        if (change.keepalive_seconds)
            message().put(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, *change.keepalive_seconds);
    }

    // The same peer in the next message, which adds to the allowed-ips of the one before. It must
    // not bring back a peer which somebody removed in between.
    void continue_peer(const PeerChange& change, size_t index) {
        end_peer();
        end_message();
        open_peer(index, 0);
        message().put(WGPEER_A_PUBLIC_KEY, change.public_key.bytes());
        message().put(WGPEER_A_FLAGS, uint32_t{WGPEER_F_UPDATE_ONLY});
    }

    void open_peer(size_t index, size_t room_needed) {
        if (peers_ != 0 && room() < room_needed) end_message();
        if (peers_ == 0) {
            messages_.push_back({device_message(family_, ifname_), index, index});
            peers_ = message().open_nest(WGDEVICE_A_PEERS);
        }
        messages_.back().last = index;
        peer_ = message().open_nest(0);
    }

    void end_peer() {
        if (allowed_ips_ != 0) message().close_nest(std::exchange(allowed_ips_, 0));
        message().close_nest(peer_);
    }

    void end_message() {
        if (peers_ != 0) message().close_nest(std::exchange(peers_, 0));
    }

    Message& message() { return messages_.back().message; }
    size_t room() { return Message::kMaxNest - std::min(Message::kMaxNest, used()); }
    size_t used() { return message().nest_size(peers_); }

    const netlink::GenericFamily& family_;
    std::string_view ifname_;
    std::vector<PeersMessage> messages_;
    // Where the open nests of the last message start; 0 is none.
    size_t peers_ = 0;
    size_t peer_ = 0;
    size_t allowed_ips_ = 0;
};

}  // namespace

Message encode_device(const netlink::GenericFamily& family, std::string_view ifname,
                      const DeviceChange& change) {
    Message message = device_message(family, ifname);
    if (change.replace_peers) message.put(WGDEVICE_A_FLAGS, uint32_t{WGDEVICE_F_REPLACE_PEERS});
    if (change.private_key) message.put(WGDEVICE_A_PRIVATE_KEY, *change.private_key);
    if (change.listen_port) message.put(WGDEVICE_A_LISTEN_PORT, *change.listen_port);
    if (change.fwmark) message.put(WGDEVICE_A_FWMARK, *change.fwmark);
    return message;
}

std::vector<PeersMessage> encode_peers(const netlink::GenericFamily& family,
                                       std::string_view ifname,
                                       std::span<const PeerChange> changes) {
    Splitter splitter(family, ifname);
    for (size_t index = 0; index < changes.size(); ++index) splitter.put(changes[index], index);
    return splitter.finish();
}

}  // namespace cvlan::wg
