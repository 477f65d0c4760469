// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which of a peer's underlay endpoints the kernel's WireGuard should send to. Pure: what is known
// goes in, a decision comes out.
//
// The kernel does the trying: a peer with a keepalive, or with traffic, sends a handshake every
// 5 s (REKEY_TIMEOUT) to the endpoint it has, and takes over the source of whatever authentic
// packet comes in. So a candidate is an endpoint that is written and given time for a handshake;
// as soon as one is through, the endpoint is the kernel's own (roaming) and is left alone.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "reach/way.h"

namespace cvlan::reach {

// Those of `endpoints` which can be sent to from here, each once, best first: same subnet, public
// IPv6, public IPv4, private ones elsewhere.
std::vector<Endpoint> rank(std::span<const Endpoint> endpoints, const Underlay& underlay);

// Whether the path between two needs a keepalive: one side is, or may be, behind a NAT. A side is
// in public when all of its endpoints are public addresses; with none it is unknown, so private.
bool needs_keepalive(std::span<const Endpoint> ours, std::span<const Endpoint> theirs);

// What the kernel said of a peer just now.
struct Sighting {
    std::optional<Endpoint> endpoint;
    std::optional<WallTime> last_handshake;
    uint64_t rx_bytes = 0;
    uint64_t tx_bytes = 0;
    bool has_keepalive = false;
    bool is_called = false;  // somebody has something for it, and no session stands
};

struct Moment {
    BootTime boot{};
    WallTime wall{};
};

// A session of WireGuard ends 180 s after its handshake (REJECT_AFTER_TIME).
inline constexpr std::chrono::seconds kSessionLife{180};
// Time for a first handshake and one repetition.
inline constexpr std::chrono::seconds kFirstTry{6};
inline constexpr std::chrono::seconds kLongestTry{60};
inline constexpr std::chrono::seconds kKeepalive{25};

// The tries at one peer.
class Candidates {
public:
    // Looks at the peer; returns the endpoint to write, or nothing to leave it alone.
    std::optional<Endpoint> look(const Sighting& seen, std::span<const Endpoint> ranked,
                                 const Moment& now);

    // A handshake in the last 180 s, by the boot clock once it has been watched.
    bool is_live(const Moment& now) const;
    // Where the other side was heard from last, for a peer that has to be made anew.
    const std::optional<Endpoint>& good_endpoint() const { return good_endpoint_; }
    // The first round of tries is not over: worth a close look.
    bool is_early() const { return !ranked_.empty() && tries_ <= 2 * ranked_.size(); }

private:
    bool watch(const Sighting& seen, const Moment& now);
    std::optional<Endpoint> decide(const Sighting& seen, std::span<const Endpoint> ranked,
                                   const Moment& now);
    std::optional<Endpoint> moved_to(const Sighting& seen, std::span<const Endpoint> ranked) const;
    std::optional<Endpoint> next(const Sighting& seen, std::span<const Endpoint> ranked);

    bool has_looked_ = false;
    std::optional<Endpoint> endpoint_;  // as last seen, or as asked to be written
    std::optional<Endpoint> good_endpoint_;
    std::optional<WallTime> last_handshake_;
    std::optional<BootTime> live_since_;  // when the last handshake was made, on the boot clock
    uint64_t rx_bytes_ = 0;
    uint64_t tx_bytes_ = 0;
    uint64_t tx_at_try_ = 0;
    std::optional<BootTime> tried_at_;
    std::vector<Endpoint> ranked_;
    size_t tries_ = 0;
};

}  // namespace cvlan::reach
