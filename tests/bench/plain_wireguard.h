// SPDX-License-Identifier: Apache-2.0
#pragma once

// What reconcile is measured against: WireGuard's netlink spoken with nothing between the caller
// and the socket. Peers are packed into messages as `wg setconf` packs them; a device is read and
// not parsed. Written for the bench alone, apart from kernel-wg.

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "reconcile/kind_wireguard.h"

namespace cvlan::bench {

class PlainWireguard {
public:
    PlainWireguard() : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)) {
        buffer_.resize(64 * 1024);
        family_ = find_family();
    }
    bool is_open() const { return family_ != 0; }

    // Reads the device and drops it. False if the kernel says no.
    bool drain(const std::string& device) {
        begin(family_, WG_CMD_GET_DEVICE, NLM_F_DUMP);
        put(WGDEVICE_A_IFNAME, device.c_str(), device.size() + 1);
        if (!send()) return false;
        for (;;) {
            const ssize_t size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
            if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) return false;
            const uint16_t type = header(buffer_.data()).nlmsg_type;
            if (type == NLMSG_ERROR) return false;
            if (ends_dump(static_cast<size_t>(size))) return true;
        }
    }

    // The SET_DEVICE loop: as many peers a message as fit.
    bool set_peers(const std::string& device, const std::vector<reconcile::WgPeer>& peers) {
        for (size_t next = 0; next < peers.size();) {
            begin(family_, WG_CMD_SET_DEVICE, NLM_F_ACK);
            put(WGDEVICE_A_IFNAME, device.c_str(), device.size() + 1);
            const size_t list = open_nest(WGDEVICE_A_PEERS);
            while (next < peers.size() && message_.size() < kFull) put_peer(peers[next++]);
            close_nest(list);
            if (!send() || !is_acked()) return false;
        }
        return true;
    }

private:
    static constexpr size_t kFull = 60 * 1024;  // below the 64 KiB of a nest by more than a peer

    static nlmsghdr header(const uint8_t* at) {
        nlmsghdr head;
        std::memcpy(&head, at, sizeof head);
        return head;
    }
    bool ends_dump(size_t size) const {
        for (size_t at = 0; at + sizeof(nlmsghdr) <= size;) {
            const nlmsghdr head = header(buffer_.data() + at);
            if (head.nlmsg_type == NLMSG_DONE) return true;
            at += NLMSG_ALIGN(head.nlmsg_len);
        }
        return false;
    }
    void append(const void* bytes, size_t size) {
        const auto* from = static_cast<const uint8_t*>(bytes);
        message_.insert(message_.end(), from, from + size);
        message_.resize(NLMSG_ALIGN(message_.size()));
    }
    void begin(uint16_t type, uint8_t command, uint16_t flags) {
        message_.clear();
        const nlmsghdr head{0, type, static_cast<uint16_t>(NLM_F_REQUEST | flags), ++sequence_, 0};
        append(&head, sizeof head);
        const genlmsghdr generic{command, 1, 0};
        append(&generic, sizeof generic);
    }
    void put(uint16_t type, const void* bytes, size_t size) {
        const nlattr head{static_cast<uint16_t>(NLA_HDRLEN + size), type};
        append(&head, sizeof head);
        append(bytes, size);
    }
    size_t open_nest(uint16_t type) {
        const size_t start = message_.size();
        const nlattr head{0, static_cast<uint16_t>(type | NLA_F_NESTED)};
        append(&head, sizeof head);
        return start;
    }
    void close_nest(size_t start) {
        const auto size = static_cast<uint16_t>(message_.size() - start);
        std::memcpy(message_.data() + start, &size, sizeof size);
    }
    void put_peer(const reconcile::WgPeer& peer) {
        const size_t start = open_nest(0);
        put(WGPEER_A_PUBLIC_KEY, peer.key.bytes().data(), wg::kKeySize);
        const uint32_t flags = WGPEER_F_REPLACE_ALLOWEDIPS;
        put(WGPEER_A_FLAGS, &flags, sizeof flags);
        put(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &peer.keepalive_seconds, sizeof(uint16_t));
        if (peer.endpoint) {
            sockaddr_storage at{};
            const socklen_t size = peer.endpoint->to_sockaddr(at);
            put(WGPEER_A_ENDPOINT, &at, size);
        }
        const size_t list = open_nest(WGPEER_A_ALLOWEDIPS);
        for (const Prefix& prefix : peer.allowed_ips) {
            const size_t one = open_nest(0);
            const auto family = static_cast<uint16_t>(prefix.address().af());
            put(WGALLOWEDIP_A_FAMILY, &family, sizeof family);
            put(WGALLOWEDIP_A_IPADDR, prefix.address().bytes().data(),
                prefix.address().bytes().size());
            const uint8_t length = prefix.length();
            put(WGALLOWEDIP_A_CIDR_MASK, &length, sizeof length);
            close_nest(one);
        }
        close_nest(list);
        close_nest(start);
    }
    bool send() {
        const auto size = static_cast<uint32_t>(message_.size());
        std::memcpy(message_.data(), &size, sizeof size);
        return ::send(fd_.get(), message_.data(), message_.size(), 0) ==
               static_cast<ssize_t>(message_.size());
    }
    bool is_acked() {
        const ssize_t size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
        if (size < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(int))) return false;
        int error = 0;
        std::memcpy(&error, buffer_.data() + sizeof(nlmsghdr), sizeof error);
        return header(buffer_.data()).nlmsg_type == NLMSG_ERROR && error == 0;
    }
    uint16_t find_family() {
        begin(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
        put(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME, sizeof WG_GENL_NAME);
        if (!send()) return 0;
        const ssize_t size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
        for (size_t at = NLMSG_HDRLEN + GENL_HDRLEN;
             at + NLA_HDRLEN <= static_cast<size_t>(size);) {
            nlattr attr;
            std::memcpy(&attr, buffer_.data() + at, sizeof attr);
            uint16_t id = 0;
            std::memcpy(&id, buffer_.data() + at + NLA_HDRLEN, sizeof id);
            if (attr.nla_type == CTRL_ATTR_FAMILY_ID) return id;
            if (attr.nla_len < NLA_HDRLEN) return 0;
            at += NLA_ALIGN(attr.nla_len);
        }
        return 0;
    }

    UniqueFd fd_;
    uint16_t family_ = 0;
    uint32_t sequence_ = 0;
    std::vector<uint8_t> message_;
    std::vector<uint8_t> buffer_;
};

}  // namespace cvlan::bench
