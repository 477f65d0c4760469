// SPDX-License-Identifier: Apache-2.0
#pragma once

// WireGuard's own state of each device: key, port, fwmark, peers. A device of ours is ours with all
// its peers. Endpoints roam and counters count: they are not compared.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "kernel-wg/types.h"
#include "reconcile/kind.h"

namespace cvlan::reconcile {

// A device's private key as part of a value which can be copied and compared: every copy is wiped
// where it ends, text and equality are those of the public key.
class DeviceKey {
public:
    DeviceKey() = default;  // no key
    static Result<DeviceKey> of(wg::PrivateKey key);
    DeviceKey(const DeviceKey& other)
        : private_key_(other.private_key_.clone()), public_key_(other.public_key_) {}
    DeviceKey(DeviceKey&&) noexcept = default;
    DeviceKey& operator=(DeviceKey other) noexcept {
        private_key_ = std::move(other.private_key_);
        public_key_ = other.public_key_;
        return *this;
    }
    ~DeviceKey() = default;

    const wg::PrivateKey& private_key() const { return private_key_; }
    const wg::PublicKey& public_key() const { return public_key_; }
    bool operator==(const DeviceKey& other) const { return public_key_ == other.public_key_; }

private:
    wg::PrivateKey private_key_;
    wg::PublicKey public_key_;
};

struct WgPeer {
    wg::PublicKey key;
    std::vector<Prefix> allowed_ips{};  // sorted
    uint16_t keepalive_seconds = 0;     // 0 is off
    // For a peer which is new or has none yet; with `move_endpoint` for any that has another.
    std::optional<Endpoint> endpoint{};
    bool move_endpoint = false;
    bool operator==(const WgPeer&) const = default;
};

struct WgDevice {
    std::string device;
    DeviceKey key;
    uint16_t listen_port = 0;
    uint32_t fwmark = 0;
    std::vector<WgPeer> peers{};  // sorted by key
    bool operator==(const WgDevice&) const = default;
};

// An absent optional leaves alone.
struct SetDevice {
    std::string device;
    std::optional<DeviceKey> key{};
    std::optional<uint16_t> listen_port{};
    std::optional<uint32_t> fwmark{};
    bool operator==(const SetDevice&) const = default;
};

struct SetPeer {
    std::string device;
    wg::PublicKey key;
    bool is_new = false;
    std::optional<std::vector<Prefix>> allowed_ips{};  // the whole list
    std::optional<Endpoint> endpoint{};
    std::optional<uint16_t> keepalive_seconds{};
    bool drop_preshared_key = false;  // one that nobody of us has set
    bool operator==(const SetPeer&) const = default;
};

struct RemovePeer {
    std::string device;
    wg::PublicKey key;
    bool operator==(const RemovePeer&) const = default;
};

// The whole of a peer, for one which is not there.
SetPeer new_peer(const std::string& device, const WgPeer& peer);

std::string text(const SetDevice& step);
std::string text(const SetPeer& step);
std::string text(const RemovePeer& step);
Result<void> apply(Kernel& kernel, const SetDevice& step);
Result<void> apply(Kernel& kernel, const SetPeer& step);
Result<void> apply(Kernel& kernel, const RemovePeer& step);
wg::PeerChange change_of(const SetPeer& step);
wg::PeerChange change_of(const RemovePeer& step);

void diff_wireguard(const Desired& want, const Observed& have, Changes& changes);
Result<void> observe_wireguard(Kernel& kernel, const Desired& want, Observed& have);

}  // namespace cvlan::reconcile
