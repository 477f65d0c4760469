// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the two halves of reaching a peer tell each other, on the loop's thread: the Pathfinder,
// which tries paths and writes the kernel's endpoint, and RelayLinks, which has the sessions with
// relays. Neither knows the other; agent.cc ties them.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "kernel-wg/keys.h"

namespace cvlan::agent {

// A peer on a WireGuard device of ours: reach::Paths::Key.
using PathKey = std::pair<std::string, wg::PublicKey>;

// A peer that has no good direct path, or has had one for a short while only.
struct PeerNeed {
    PathKey key;
    bool relay = false;  // should be reachable by a relay's TLS
    bool pair = false;   // and by a relay's kernel
};

// Where packets to a peer may be sent so that a relay carries them; none: it can not now.
struct RelayedPlaces {
    std::optional<Endpoint> udp{};  // READY's endpoint: the relay's own, of UDP
    std::optional<Endpoint> tls{};  // on lo: what is sent there goes through a relay's TLS
    bool operator==(const RelayedPlaces&) const = default;
};

// What RelayLinks asks for and tells. None of it is called within a call of RelayLinks's
// constructor; all are set.
struct RelaySeam {
    // The places of a peer are others than before.
    std::function<void(const PathKey& key, const RelayedPlaces& places)> on_relayed;
    // The home relay of a tenant's identity, or the list of STUN servers, is another.
    std::function<void()> on_changed;
    // One datagram from the UDP port of this device. False: it could not be sent.
    std::function<bool(const std::string& device, const Endpoint& to, ByteView datagram)> send_stun;
    // Of a STUN server; nothing while it does not answer.
    std::function<std::optional<std::chrono::milliseconds>(const Endpoint& server)> round_trip;
    // This STUN server is asked now whether it is back, or gone.
    std::function<void(const Endpoint& server)> probe;
};

// By which relay a path leads, for people.
struct RelayName {
    std::string id;
    std::string name;
};

}  // namespace cvlan::agent
