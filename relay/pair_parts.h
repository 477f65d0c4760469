// SPDX-License-Identifier: Apache-2.0
#pragma once

// What Pairs knows of each pair: pairs.cc alone includes it.

#include <array>
#include <optional>
#include <string>

#include "relay/pairs.h"

namespace cvlan::relay {

inline constexpr std::array kFamilies{Family::V4, Family::V6};

struct Pairs::Side {
    Key key;
    bool has_asked = false;
    uint64_t session = 0;
    std::string node_id;
    WallTime expires_at{};
    BindId bind_id{};
    BindSecret secret;
    std::optional<BootTime> first_bound;

    std::optional<Endpoint>& at(Family family) { return at_[family == Family::V4 ? 0 : 1]; }
    const std::optional<Endpoint>& at(Family family) const {
        return at_[family == Family::V4 ? 0 : 1];
    }
    Address& own(Family family) { return own_[family == Family::V4 ? 0 : 1]; }  // where it came to
    BootTime& bound_at(Family family) { return bound_at_[family == Family::V4 ? 0 : 1]; }
    bool is_bound() const { return at_[0] || at_[1]; }

private:
    std::array<std::optional<Endpoint>, 2> at_;
    std::array<Address, 2> own_{};
    std::array<BootTime, 2> bound_at_{};
};

struct Pairs::Pair {
    PairId id{};
    std::string tenant_id;
    std::string network_id;
    uint16_t port = 0;
    std::array<Side, 2> sides;  // in the order of their keys
    BootTime active_at{0};      // of the last request or bind

    std::optional<ForwardedPair>& forwarded(Family family) {
        return forwarded_[family == Family::V4 ? 0 : 1];
    }
    // As this side names it.
    PairOf of(const Side& side) const {
        return {side.key, sides[&side == sides.data() ? 1 : 0].key};
    }

private:
    std::array<std::optional<ForwardedPair>, 2> forwarded_;
};

}  // namespace cvlan::relay
