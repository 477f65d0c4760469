// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel's IPsec is made of: states (SAs) and policies, as values that compare. Numbers
// are in host order, but for keys and addresses. Source: linux/xfrm.h.
//
// A State that was read has no keys: they never leave the buffer of the answer, which is wiped.
// Those to set are given beside it, as StateKeys.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ip.h"
#include "netlink/wiped.h"

namespace cvlan::xfrm {

// Wiped where it ends, not printable, and copied by nobody.
class Key {
public:
    Key() = default;
    explicit Key(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    Key(Key&&) = default;
    Key& operator=(Key&&) = default;
    ByteView bytes() const { return bytes_; }

private:
    netlink::WipedBytes bytes_;
};

// A value and the bits of it that count; all zero: none.
struct Mark {
    uint32_t value = 0;
    uint32_t mask = 0;
    auto operator<=>(const Mark&) const = default;
};

struct PortMatch {
    uint16_t port = 0;
    uint16_t mask = 0;  // 0: any
    auto operator<=>(const PortMatch&) const = default;
};

// Which packets; both prefixes are of one family. Bits of hosts that somebody has put into a
// selector are not kept.
struct Selector {
    Prefix source{};
    Prefix destination{};
    uint8_t protocol = 0;  // 0: any
    PortMatch source_port{};
    PortMatch destination_port{};
    int ifindex = 0;
    bool operator==(const Selector&) const = default;
};

enum class Mode : uint8_t {
    Transport = 0,
    Tunnel = 1,
    RouteOptimization = 2,
    Trigger = 3,
    Beet = 4
};

// Where a state or a policy ends: at the soft limit the kernel announces it, at the hard one it
// goes. Seconds of 0 are no limit.
struct Limits {
    static constexpr uint64_t kInfinite = ~uint64_t{0};
    uint64_t soft_bytes = kInfinite;
    uint64_t hard_bytes = kInfinite;
    uint64_t soft_packets = kInfinite;
    uint64_t hard_packets = kInfinite;
    uint64_t soft_add_seconds = 0;
    uint64_t hard_add_seconds = 0;
    uint64_t soft_use_seconds = 0;
    uint64_t hard_use_seconds = 0;
    bool operator==(const Limits&) const = default;
};

struct Usage {
    uint64_t bytes = 0;
    uint64_t packets = 0;
    std::optional<WallTime> added_at{};
    std::optional<WallTime> used_at{};  // first
    uint32_t outside_window = 0;
    uint32_t replayed = 0;
    uint32_t integrity_failed = 0;
    bool operator==(const Usage&) const = default;
};

// By the kernel's name: "rfc4106(gcm(aes))", "cbc(aes)", "hmac(sha256)".
struct Algorithm {
    std::string name;
    uint32_t key_bits = 0;
    uint32_t icv_bits = 0;  // of aead and auth; 0 where the kernel did not say
    bool operator==(const Algorithm&) const = default;
};

// Of the algorithms of the same names; for rfc4106 the key with its salt of 4 bytes behind it.
struct StateKeys {
    Key aead{};
    Key crypt{};
    Key auth{};
};

struct Replay {
    uint32_t window = 0;  // packets; 0 is no protection
    bool esn = false;     // 64 bits of sequence
    // How far it is; observed only.
    uint64_t sent = 0;
    uint64_t received = 0;
    bool operator==(const Replay&) const = default;
};

// NAT traversal (RFC 3948): 2 is UDP_ENCAP_ESPINUDP.
struct Encapsulation {
    uint16_t type = 2;
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    bool operator==(const Encapsulation&) const = default;
};

// What names a state: the kernel finds the one of an arriving packet by it.
struct StateId {
    Address destination{};
    uint32_t spi = 0;
    uint8_t protocol = 50;  // IPPROTO_ESP
    Mark mark{};
    auto operator<=>(const StateId&) const = default;
};

struct State {
    StateId id{};
    Address source{};
    std::optional<Selector> selector{};  // none: any, of either family
    Mode mode = Mode::Tunnel;
    uint32_t reqid = 0;
    uint32_t if_id = 0;
    uint8_t flags = 0;         // XFRM_STATE_*, but for ESN (in replay) and AF_UNSPEC (no selector)
    uint32_t extra_flags = 0;  // XFRM_SA_XFLAG_*
    // Without any of these it is a larval one: reserved, or waiting for a key exchange.
    std::optional<Algorithm> aead{};
    std::optional<Algorithm> crypt{};
    std::optional<Algorithm> auth{};
    std::optional<Encapsulation> encapsulation{};
    Replay replay{};
    Limits limits{};
    std::optional<Mark> output_mark{};
    uint32_t sequence = 0;  // of the acquire that it answers
    // Observed only.
    Usage usage{};
    int offload_ifindex = 0;  // the device that does the work
    bool operator==(const State&) const = default;
};

enum class Direction : uint8_t { In = 0, Out = 1, Forward = 2, SocketIn = 3, SocketOut = 4 };

// What a policy asks of a packet: a state like this.
struct Template {
    Address source{};
    Address destination{};
    uint32_t spi = 0;  // 0: any
    uint8_t protocol = 50;
    uint32_t reqid = 0;
    Mode mode = Mode::Tunnel;
    bool optional = false;
    bool operator==(const Template&) const = default;
};

struct Policy {
    Selector selector{};
    Direction direction = Direction::Out;
    uint32_t index = 0;  // the kernel's; 0 lets it choose
    uint32_t priority = 0;
    uint32_t if_id = 0;
    Mark mark{};
    bool blocks = false;
    uint8_t flags = 0;  // XFRM_POLICY_*
    std::vector<Template> templates{};
    Limits limits{};
    Usage usage{};  // observed only; its counters of packets are of states alone
    bool operator==(const Policy&) const = default;
};

// What names a policy: all of these, as they were set.
struct PolicyId {
    Selector selector{};
    Direction direction = Direction::Out;
    uint32_t if_id = 0;
    Mark mark{};
};

}  // namespace cvlan::xfrm
