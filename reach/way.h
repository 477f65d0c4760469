// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where one can send a packet to for a peer, and what kind of path that is. Pure.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "reach/nat64.h"

namespace cvlan::reach {

// What this machine's underlay looks like.
struct Underlay {
    std::vector<Prefix> subnets;  // on its own interfaces, the overlay's left out
    std::vector<Address> own{};   // a peer that names one of them means another network
    bool has_v4 = true;           // some usable address of the family
    bool has_v6 = true;
    std::optional<Nat64> nat64{};  // by which public IPv4 is reached where there is none here
    bool operator==(const Underlay&) const = default;
};

// Best first.
enum class Way : uint8_t { SameSubnet, PublicV6, PublicV4, Elsewhere, RelayUdp, RelayTls };
inline bool is_direct(Way way) { return way < Way::RelayUdp; }

struct Candidate {
    Endpoint to;
    Way way = Way::Elsewhere;
    bool carries = true;  // false: checks go there, and packets can not
    bool operator==(const Candidate&) const = default;
};

// The way of a direct one. Nothing for what can not be sent to from here, or is not theirs.
std::optional<Way> way_of(const Endpoint& endpoint, const Underlay& underlay);

}  // namespace cvlan::reach
