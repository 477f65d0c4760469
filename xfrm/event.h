// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel announces on NETLINK_XFRM's groups, as values. Pure. Source: linux/xfrm.h.

#include <optional>
#include <variant>

#include "netlink/socket.h"
#include "xfrm/types.h"

namespace cvlan::xfrm {

// A packet met a policy and no state: somebody is to agree on one, within the life of the larval
// state (`sequence`) that the kernel keeps meanwhile.
struct Acquire {
    Selector packet{};
    Address source{};  // of the tunnel
    Address destination{};
    uint8_t protocol = 0;
    uint32_t sequence = 0;
    uint32_t if_id = 0;
    Policy policy{};
};

// At the hard limit the state is gone already, without StateRemoved.
struct StateExpired {
    State state{};
    bool hard = false;
};
struct PolicyExpired {
    Policy policy{};
    bool hard = false;
};

// A peer behind a NAT sends from elsewhere (UDP-encapsulated packets that decrypt).
struct MappingChanged {
    StateId id{};
    uint32_t reqid = 0;
    Endpoint before{};
    Endpoint now{};
};

struct StateSet {
    State state{};
    bool updated = false;
};
struct StateRemoved {
    StateId id{};
    std::optional<State> state{};
};
struct StatesFlushed {
    uint8_t protocol = 0;  // 0 or 255: all
};
struct PolicySet {
    Policy policy{};
    bool updated = false;
};
struct PolicyRemoved {
    Policy policy{};
};
struct PoliciesFlushed {};
// A packet that a state refused (mobile IPv6 alone).
struct Report {
    uint8_t protocol = 0;
    Selector packet{};
};

using Event =
    std::variant<Acquire, StateExpired, PolicyExpired, MappingChanged, StateSet, StateRemoved,
                 StatesFlushed, PolicySet, PolicyRemoved, PoliciesFlushed, Report>;

// Nothing for a message of another type: newer kernels may have more.
Result<std::optional<Event>> parse_event(const netlink::Reply& message);

}  // namespace cvlan::xfrm
