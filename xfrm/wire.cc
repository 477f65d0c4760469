// SPDX-License-Identifier: Apache-2.0
#include "xfrm/wire.h"

#include <netinet/in.h>

namespace cvlan::xfrm {

namespace {

// So that milliseconds since 1970 fit: the year 9999.
constexpr uint64_t kLastSecond = 253402300799;

Result<Usage> usage_of(const xfrm_lifetime_cur& current) {
    if (current.add_time > kLastSecond || current.use_time > kLastSecond)
        return fail(Code::Malformed, "time out of range");
    Usage usage{.bytes = current.bytes, .packets = current.packets};
    const auto time = [](uint64_t seconds) -> std::optional<WallTime> {
        if (seconds == 0) return std::nullopt;
        return from_unix_ms(static_cast<int64_t>(seconds) * 1000);
    };
    usage.added_at = time(current.add_time);
    usage.used_at = time(current.use_time);
    return usage;
}

Limits limits_of(const xfrm_lifetime_cfg& limits) {
    return {.soft_bytes = limits.soft_byte_limit,
            .hard_bytes = limits.hard_byte_limit,
            .soft_packets = limits.soft_packet_limit,
            .hard_packets = limits.hard_packet_limit,
            .soft_add_seconds = limits.soft_add_expires_seconds,
            .hard_add_seconds = limits.hard_add_expires_seconds,
            .soft_use_seconds = limits.soft_use_expires_seconds,
            .hard_use_seconds = limits.hard_use_expires_seconds};
}

Result<Mode> mode_of(uint8_t mode) {
    if (mode >= XFRM_MODE_MAX) return fail(Code::Malformed, "mode {}", mode);
    return static_cast<Mode>(mode);
}

Result<Prefix> prefix_of(const xfrm_address_t& address, uint8_t length, int family) {
    auto host = from_wire(address, family);
    if (!host) return failed(host.error());
    auto prefix = Prefix::of(*host, length);
    if (!prefix) return fail(Code::Malformed, "prefix of {} bits", length);
    return *prefix;
}

uint16_t family_of(const Address& address) { return static_cast<uint16_t>(address.af()); }

}  // namespace

xfrm_address_t to_wire(const Address& address) {
    xfrm_address_t wire{};
    std::memcpy(&wire, address.bytes().data(), address.bytes().size());
    return wire;
}

xfrm_mark to_wire(const Mark& mark) { return {mark.value, mark.mask}; }

xfrm_usersa_id to_wire(const StateId& id) {
    xfrm_usersa_id wire{};
    wire.daddr = to_wire(id.destination);
    wire.spi = htonl(id.spi);
    wire.family = family_of(id.destination);
    wire.proto = id.protocol;
    return wire;
}

Result<xfrm_selector> to_wire(const Selector& selector) {
    if (selector.source.family() != selector.destination.family())
        return fail(Code::Invalid, "selector of two families");
    xfrm_selector wire{};
    wire.saddr = to_wire(selector.source.address());
    wire.daddr = to_wire(selector.destination.address());
    wire.prefixlen_s = selector.source.length();
    wire.prefixlen_d = selector.destination.length();
    wire.family = family_of(selector.source.address());
    wire.proto = selector.protocol;
    wire.sport = htons(selector.source_port.port);
    wire.sport_mask = htons(selector.source_port.mask);
    wire.dport = htons(selector.destination_port.port);
    wire.dport_mask = htons(selector.destination_port.mask);
    wire.ifindex = selector.ifindex;
    return wire;
}

xfrm_lifetime_cfg to_wire(const Limits& limits) {
    xfrm_lifetime_cfg wire{};
    wire.soft_byte_limit = limits.soft_bytes;
    wire.hard_byte_limit = limits.hard_bytes;
    wire.soft_packet_limit = limits.soft_packets;
    wire.hard_packet_limit = limits.hard_packets;
    wire.soft_add_expires_seconds = limits.soft_add_seconds;
    wire.hard_add_expires_seconds = limits.hard_add_seconds;
    wire.soft_use_expires_seconds = limits.soft_use_seconds;
    wire.hard_use_expires_seconds = limits.hard_use_seconds;
    return wire;
}

Result<xfrm_usersa_info> to_wire(const State& state) {
    if (state.source.family() != state.id.destination.family())
        return fail(Code::Invalid, "addresses of two families");
    if (state.replay.window > kMaxWindow)
        return fail(Code::Invalid, "replay window of {} packets", state.replay.window);
    xfrm_usersa_info wire{};
    if (state.selector) {
        auto selector = to_wire(*state.selector);
        if (!selector) return failed(selector.error());
        wire.sel = *selector;
    }
    wire.id.daddr = to_wire(state.id.destination);
    wire.id.spi = htonl(state.id.spi);
    wire.id.proto = state.id.protocol;
    wire.saddr = to_wire(state.source);
    wire.lft = to_wire(state.limits);
    wire.seq = state.sequence;
    wire.reqid = state.reqid;
    wire.family = family_of(state.source);
    wire.mode = static_cast<uint8_t>(state.mode);
    // A larger one, and one of 64 bits, goes into XFRMA_REPLAY_ESN_VAL.
    if (state.replay.window <= 32 && !state.replay.esn)
        wire.replay_window = static_cast<uint8_t>(state.replay.window);
    wire.flags = static_cast<uint8_t>(state.flags & ~(XFRM_STATE_ESN | XFRM_STATE_AF_UNSPEC));
    if (state.replay.esn) wire.flags |= XFRM_STATE_ESN;
    // Without it the kernel takes the family of the tunnel's ends for that of the packets within.
    if (!state.selector) wire.flags |= XFRM_STATE_AF_UNSPEC;
    return wire;
}

Result<xfrm_userpolicy_info> to_wire(const Policy& policy) {
    auto selector = to_wire(policy.selector);
    if (!selector) return failed(selector.error());
    xfrm_userpolicy_info wire{};
    wire.sel = *selector;
    wire.lft = to_wire(policy.limits);
    wire.priority = policy.priority;
    wire.index = policy.index;
    wire.dir = static_cast<uint8_t>(policy.direction);
    wire.action = policy.blocks ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
    wire.flags = policy.flags;
    return wire;
}

Result<xfrm_user_tmpl> to_wire(const Template& wanted) {
    if (wanted.source.family() != wanted.destination.family())
        return fail(Code::Invalid, "template of two families");
    xfrm_user_tmpl wire{};
    wire.id.daddr = to_wire(wanted.destination);
    wire.id.spi = htonl(wanted.spi);
    wire.id.proto = wanted.protocol;
    wire.family = family_of(wanted.source);
    wire.saddr = to_wire(wanted.source);
    wire.reqid = wanted.reqid;
    wire.mode = static_cast<uint8_t>(wanted.mode);
    wire.optional = wanted.optional ? 1 : 0;
    wire.aalgos = wire.ealgos = wire.calgos = ~0u;  // any algorithm
    return wire;
}

Result<Address> from_wire(const xfrm_address_t& address, int family) {
    if (family != AF_INET && family != AF_INET6)
        return fail(Code::Malformed, "address of family {}", family);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&address);
    return Address::from_bytes({bytes, family == AF_INET ? 4u : 16u});
}

Result<Selector> from_wire(const xfrm_selector& wire) {
    auto source = prefix_of(wire.saddr, wire.prefixlen_s, wire.family);
    if (!source) return failed(source.error().while_doing("selector"));
    auto destination = prefix_of(wire.daddr, wire.prefixlen_d, wire.family);
    if (!destination) return failed(destination.error().while_doing("selector"));
    return Selector{.source = *source,
                    .destination = *destination,
                    .protocol = wire.proto,
                    .source_port = {ntohs(wire.sport), ntohs(wire.sport_mask)},
                    .destination_port = {ntohs(wire.dport), ntohs(wire.dport_mask)},
                    .ifindex = wire.ifindex};
}

Result<StateId> from_wire(const xfrm_usersa_id& wire) {
    auto destination = from_wire(wire.daddr, wire.family);
    if (!destination) return failed(destination.error());
    return StateId{.destination = *destination, .spi = ntohl(wire.spi), .protocol = wire.proto};
}

Result<State> from_wire(const xfrm_usersa_info& wire) {
    State state;
    auto destination = from_wire(wire.id.daddr, wire.family);
    if (!destination) return failed(destination.error());
    auto source = from_wire(wire.saddr, wire.family);
    if (!source) return failed(source.error());
    auto mode = mode_of(wire.mode);
    if (!mode) return failed(mode.error());
    auto usage = usage_of(wire.curlft);
    if (!usage) return failed(usage.error());
    if (wire.sel.family != AF_UNSPEC) {
        auto selector = from_wire(wire.sel);
        if (!selector) return failed(selector.error());
        state.selector = *selector;
    }
    state.id = {.destination = *destination, .spi = ntohl(wire.id.spi), .protocol = wire.id.proto};
    state.source = *source;
    state.mode = *mode;
    state.reqid = wire.reqid;
    state.flags = static_cast<uint8_t>(wire.flags & ~(XFRM_STATE_ESN | XFRM_STATE_AF_UNSPEC));
    state.replay.window = wire.replay_window;
    state.replay.esn = (wire.flags & XFRM_STATE_ESN) != 0;
    state.limits = limits_of(wire.lft);
    state.sequence = wire.seq;
    state.usage = *usage;
    state.usage.outside_window = wire.stats.replay_window;
    state.usage.replayed = wire.stats.replay;
    state.usage.integrity_failed = wire.stats.integrity_failed;
    return state;
}

Result<Policy> from_wire(const xfrm_userpolicy_info& wire) {
    auto selector = from_wire(wire.sel);
    if (!selector) return failed(selector.error());
    auto usage = usage_of(wire.curlft);
    if (!usage) return failed(usage.error());
    // Those of sockets (XFRM_POLICY_MAX + direction) are listed too.
    if (wire.dir > static_cast<uint8_t>(Direction::SocketOut))
        return fail(Code::Malformed, "policy of direction {}", wire.dir);
    return Policy{.selector = *selector,
                  .direction = static_cast<Direction>(wire.dir),
                  .index = wire.index,
                  .priority = wire.priority,
                  .blocks = wire.action != XFRM_POLICY_ALLOW,
                  .flags = wire.flags,
                  .limits = limits_of(wire.lft),
                  .usage = *usage};
}

Result<Template> from_wire(const xfrm_user_tmpl& wire) {
    auto source = from_wire(wire.saddr, wire.family);
    if (!source) return failed(source.error().while_doing("template"));
    auto destination = from_wire(wire.id.daddr, wire.family);
    if (!destination) return failed(destination.error().while_doing("template"));
    auto mode = mode_of(wire.mode);
    if (!mode) return failed(mode.error().while_doing("template"));
    return Template{.source = *source,
                    .destination = *destination,
                    .spi = ntohl(wire.id.spi),
                    .protocol = wire.id.proto,
                    .reqid = wire.reqid,
                    .mode = *mode,
                    .optional = wire.optional != 0};
}

}  // namespace cvlan::xfrm
