// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a WireGuard device is (Device, Peer) and what to change about one (DeviceChange,
// PeerChange: an absent optional means "leave alone"). Source: linux/wireguard.h.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "kernel-wg/keys.h"

namespace cvlan::wg {

struct Peer {
    PublicKey public_key{};
    PresharedKey preshared_key;  // empty() when there is none
    std::optional<Endpoint> endpoint{};
    std::optional<WallTime> last_handshake{};
    std::vector<Prefix> allowed_ips;  // in the kernel's order, which is not ours
    uint64_t rx_bytes = 0;
    uint64_t tx_bytes = 0;
    uint32_t protocol_version = 0;
    uint16_t keepalive_seconds = 0;  // 0 is off
};

struct Device {
    std::string name;
    uint32_t ifindex = 0;
    PrivateKey private_key;  // empty() when there is none
    PublicKey public_key{};
    uint32_t fwmark = 0;
    uint16_t listen_port = 0;
    std::vector<Peer> peers;
};

struct DeviceChange {
    std::optional<PrivateKey> private_key{};  // an empty one takes it away
    std::optional<uint16_t> listen_port{};    // 0 lets the kernel choose
    std::optional<uint32_t> fwmark{};         // 0 takes it away
    bool replace_peers = false;               // removes every peer first; never in steady state
};

struct PeerChange {
    PublicKey public_key{};
    bool remove = false;
    bool update_only = false;                     // nothing happens if the peer does not exist
    std::optional<PresharedKey> preshared_key{};  // an empty one takes it away
    std::optional<Endpoint> endpoint{};
    std::optional<uint16_t> keepalive_seconds{};
    std::optional<std::vector<Prefix>> allowed_ips{};  // the whole list
    std::vector<Prefix> add_allowed_ips{};             // kept beside those it has
};

}  // namespace cvlan::wg
