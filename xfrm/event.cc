// SPDX-License-Identifier: Apache-2.0
#include "xfrm/event.h"

#include <netinet/in.h>

#include "xfrm/parse.h"
#include "xfrm/wire.h"

namespace cvlan::xfrm {

namespace {

using netlink::AttrReader;

// What several events have behind their header: the attributes of a state or a policy.
Result<State> state_of(const xfrm_usersa_info& info, AttrReader& attrs) {
    auto state = from_wire(info);
    if (!state) return state;
    read_state_attributes(attrs, *state);
    if (attrs.error()) return failed(*attrs.error());
    return state;
}

Result<Policy> policy_of(const xfrm_userpolicy_info& info, AttrReader& attrs) {
    auto policy = from_wire(info);
    if (!policy) return policy;
    read_policy_attributes(attrs, *policy);
    if (attrs.error()) return failed(*attrs.error());
    return policy;
}

Result<Event> parse_acquire(ByteView payload) {
    xfrm_user_acquire wire{};
    auto attrs = netlink::after_header(payload, wire);
    if (!attrs) return failed(attrs.error());
    auto policy = policy_of(wire.policy, *attrs);
    if (!policy) return failed(policy.error());
    auto packet = from_wire(wire.sel);
    if (!packet) return failed(packet.error());
    // The tunnel's ends have no family of their own here: it is that of the policy's templates.
    const int family = policy->templates.empty() ? int{wire.sel.family}
                                                 : policy->templates.front().destination.af();
    auto source = from_wire(wire.saddr, family);
    if (!source) return failed(source.error());
    auto destination = from_wire(wire.id.daddr, family);
    if (!destination) return failed(destination.error());
    const uint32_t if_id = policy->if_id;
    return Acquire{.packet = *packet,
                   .source = *source,
                   .destination = *destination,
                   .protocol = wire.id.proto,
                   .sequence = wire.seq,
                   .if_id = if_id,
                   .policy = std::move(*policy)};
}

Result<Event> parse_state_expired(ByteView payload) {
    xfrm_user_expire wire{};
    auto attrs = netlink::after_header(payload, wire);
    if (!attrs) return failed(attrs.error());
    auto state = state_of(wire.state, *attrs);
    if (!state) return failed(state.error());
    return StateExpired{std::move(*state), wire.hard != 0};
}

Result<Event> parse_policy_expired(ByteView payload) {
    xfrm_user_polexpire wire{};
    auto attrs = netlink::after_header(payload, wire);
    if (!attrs) return failed(attrs.error());
    auto policy = policy_of(wire.pol, *attrs);
    if (!policy) return failed(policy.error());
    return PolicyExpired{std::move(*policy), wire.hard != 0};
}

Result<Event> parse_mapping(ByteView payload) {
    xfrm_user_mapping wire{};
    auto attrs = netlink::after_header(payload, wire);
    if (!attrs) return failed(attrs.error());
    auto id = from_wire(wire.id);
    if (!id) return failed(id.error());
    auto before = from_wire(wire.old_saddr, wire.id.family);
    auto now = from_wire(wire.new_saddr, wire.id.family);
    if (!before || !now) return fail(Code::Malformed, "mapping without addresses");
    return MappingChanged{.id = *id,
                          .reqid = wire.reqid,
                          .before = {*before, ntohs(wire.old_sport)},
                          .now = {*now, ntohs(wire.new_sport)}};
}

// A removal has its subject as an attribute, and that one's attributes beside it
// (net/xfrm/xfrm_user.c: xfrm_notify_sa, xfrm_notify_policy).
template <class Header, class Info>
Result<std::optional<Info>> info_within(ByteView payload, uint16_t type, Header& header) {
    auto attrs = netlink::after_header(payload, header);
    if (!attrs) return failed(attrs.error());
    std::optional<Info> info;
    while (attrs->next()) {
        if (attrs->type() != type) continue;
        Info found{};
        attrs->read_struct(found);
        info = found;
    }
    if (attrs->error()) return failed(*attrs->error());
    return info;
}

Result<Event> parse_state_removed(ByteView payload) {
    xfrm_usersa_id header{};
    auto info = info_within<xfrm_usersa_id, xfrm_usersa_info>(payload, XFRMA_SA, header);
    if (!info) return failed(info.error());
    auto id = from_wire(header);
    if (!id) return failed(id.error());
    StateRemoved removed{.id = *id};
    if (!*info) return removed;
    auto attrs = netlink::after_header(payload, header);
    auto state = state_of(**info, *attrs);
    if (!state) return failed(state.error());
    removed.id.mark = state->id.mark;
    removed.state = std::move(*state);
    return removed;
}

Result<Event> parse_policy_removed(ByteView payload) {
    xfrm_userpolicy_id header{};
    auto info =
        info_within<xfrm_userpolicy_id, xfrm_userpolicy_info>(payload, XFRMA_POLICY, header);
    if (!info) return failed(info.error());
    if (!*info) return fail(Code::Malformed, "removal of no policy");
    auto attrs = netlink::after_header(payload, header);
    auto policy = policy_of(**info, *attrs);
    if (!policy) return failed(policy.error());
    return PolicyRemoved{std::move(*policy)};
}

Result<Event> parse_states_flushed(ByteView payload) {
    xfrm_usersa_flush wire{};
    auto attrs = netlink::after_header(payload, wire);
    if (!attrs) return failed(attrs.error());
    return StatesFlushed{wire.proto};
}

Result<Event> parse_report(ByteView payload) {
    xfrm_user_report wire{};
    auto attrs = netlink::after_header(payload, wire);
    if (!attrs) return failed(attrs.error());
    auto packet = from_wire(wire.sel);
    if (!packet) return failed(packet.error());
    return Report{wire.proto, *packet};
}

Result<Event> parse_state_set(ByteView payload, bool updated) {
    auto state = parse_state(payload);
    if (!state) return failed(state.error());
    return StateSet{std::move(*state), updated};
}

Result<Event> parse_policy_set(ByteView payload, bool updated) {
    auto policy = parse_policy(payload);
    if (!policy) return failed(policy.error());
    return PolicySet{std::move(*policy), updated};
}

Result<Event> parse_known(const netlink::Reply& message) {
    switch (message.type) {
        case XFRM_MSG_ACQUIRE:
            return parse_acquire(message.payload);
        case XFRM_MSG_EXPIRE:
            return parse_state_expired(message.payload);
        case XFRM_MSG_POLEXPIRE:
            return parse_policy_expired(message.payload);
        case XFRM_MSG_MAPPING:
            return parse_mapping(message.payload);
        case XFRM_MSG_NEWSA:
        case XFRM_MSG_UPDSA:
            return parse_state_set(message.payload, message.type == XFRM_MSG_UPDSA);
        case XFRM_MSG_DELSA:
            return parse_state_removed(message.payload);
        case XFRM_MSG_FLUSHSA:
            return parse_states_flushed(message.payload);
        case XFRM_MSG_NEWPOLICY:
        case XFRM_MSG_UPDPOLICY:
            return parse_policy_set(message.payload, message.type == XFRM_MSG_UPDPOLICY);
        case XFRM_MSG_DELPOLICY:
            return parse_policy_removed(message.payload);
        case XFRM_MSG_FLUSHPOLICY:
            return PoliciesFlushed{};
        case XFRM_MSG_REPORT:
            return parse_report(message.payload);
        default:
            return fail(Code::Unsupported, "message of type {}", message.type);
    }
}

}  // namespace

Result<std::optional<Event>> parse_event(const netlink::Reply& message) {
    auto event = parse_known(message);
    if (event) return std::optional<Event>(std::move(*event));
    if (event.error().code == Code::Unsupported) return std::optional<Event>();
    return failed(event.error().while_doing("xfrm event"));
}

}  // namespace cvlan::xfrm
