// SPDX-License-Identifier: Apache-2.0
#include "xfrm/parse.h"

#include <netinet/in.h>

#include "xfrm/wire.h"

namespace cvlan::xfrm {

namespace {

using netlink::AttrReader;

// `Wire` is one of struct xfrm_algo…; the key behind it has to be there, and stays where it is.
template <class Wire>
void read_algorithm(AttrReader& attrs, std::optional<Algorithm>& out,
                    uint32_t (*icv_bits)(const Wire&)) {
    Wire wire{};
    attrs.read_struct(wire);
    if (attrs.error()) return;
    const size_t key_size = (size_t{wire.alg_key_len} + 7) / 8;
    if (key_size > attrs.payload().size() - sizeof wire) {
        attrs.fault("key longer than its attribute");
        return;
    }
    const size_t name_size = strnlen(wire.alg_name, sizeof wire.alg_name);
    if (name_size == sizeof wire.alg_name) {
        attrs.fault("name without an end");
        return;
    }
    out = Algorithm{{wire.alg_name, name_size}, wire.alg_key_len, icv_bits(wire)};
}

void read_replay(AttrReader& attrs, Replay& replay) {
    xfrm_replay_state wire{};
    attrs.read_struct(wire);
    if (attrs.error()) return;
    replay.sent = wire.oseq;
    replay.received = wire.seq;
}

void read_replay_esn(AttrReader& attrs, Replay& replay) {
    xfrm_replay_state_esn wire{};
    attrs.read_struct(wire);
    if (attrs.error()) return;
    if (size_t{wire.bmp_len} * sizeof(uint32_t) > attrs.payload().size() - sizeof wire) {
        attrs.fault("window longer than its attribute");
        return;
    }
    replay.window = wire.replay_window;
    replay.sent = uint64_t{wire.oseq_hi} << 32 | wire.oseq;
    replay.received = uint64_t{wire.seq_hi} << 32 | wire.seq;
}

void read_encapsulation(AttrReader& attrs, std::optional<Encapsulation>& out) {
    xfrm_encap_tmpl wire{};
    attrs.read_struct(wire);
    if (attrs.error()) return;
    out = Encapsulation{wire.encap_type, ntohs(wire.encap_sport), ntohs(wire.encap_dport)};
}

void read_offload(AttrReader& attrs, int& ifindex) {
    xfrm_user_offload wire{};
    attrs.read_struct(wire);
    if (!attrs.error()) ifindex = wire.ifindex;
}

void read_mark(AttrReader& attrs, Mark& mark) {
    xfrm_mark wire{};
    attrs.read_struct(wire);
    if (!attrs.error()) mark = {wire.v, wire.m};
}

void read_output_mark(AttrReader& attrs, std::optional<Mark>& out, uint32_t Mark::*part) {
    uint32_t value = 0;
    attrs.read(value);
    if (!out) out = Mark{};
    (*out).*part = value;
}

void read_templates(AttrReader& attrs, std::vector<Template>& out) {
    ByteView rest = attrs.payload();
    xfrm_user_tmpl wire{};
    if (rest.size() % sizeof wire != 0) {
        attrs.fault("part of a template");
        return;
    }
    out.clear();
    for (; !rest.empty(); rest = rest.subspan(sizeof wire)) {
        std::memcpy(&wire, rest.data(), sizeof wire);
        auto wanted = from_wire(wire);
        if (!wanted) {
            attrs.fault(wanted.error().message);
            return;
        }
        out.push_back(*wanted);
    }
}

// One that is among those of algorithms; false for all others.
bool read_if_algorithm(AttrReader& attrs, State& state) {
    switch (attrs.type()) {
        case XFRMA_ALG_AEAD:
            read_algorithm<xfrm_algo_aead>(attrs, state.aead,
                                           [](const auto& wire) { return wire.alg_icv_len; });
            return true;
        case XFRMA_ALG_CRYPT:
            read_algorithm<xfrm_algo>(attrs, state.crypt, [](const auto&) { return uint32_t{0}; });
            return true;
        case XFRMA_ALG_AUTH_TRUNC:
            read_algorithm<xfrm_algo_auth>(attrs, state.auth,
                                           [](const auto& wire) { return wire.alg_trunc_len; });
            return true;
        case XFRMA_ALG_AUTH:
            // The same once more, without its length, for those who know no other.
            if (!state.auth)
                read_algorithm<xfrm_algo>(attrs, state.auth,
                                          [](const auto&) { return uint32_t{0}; });
            return true;
        default:
            return false;
    }
}

void read_state_attribute(AttrReader& attrs, State& state) {
    switch (attrs.type()) {
        case XFRMA_REPLAY_VAL:
            read_replay(attrs, state.replay);
            break;
        case XFRMA_REPLAY_ESN_VAL:
            read_replay_esn(attrs, state.replay);
            break;
        case XFRMA_ENCAP:
            read_encapsulation(attrs, state.encapsulation);
            break;
        case XFRMA_MARK:
            read_mark(attrs, state.id.mark);
            break;
        case XFRMA_IF_ID:
            attrs.read(state.if_id);
            break;
        case XFRMA_SET_MARK:
            read_output_mark(attrs, state.output_mark, &Mark::value);
            break;
        case XFRMA_SET_MARK_MASK:
            read_output_mark(attrs, state.output_mark, &Mark::mask);
            break;
        case XFRMA_SA_EXTRA_FLAGS:
            attrs.read(state.extra_flags);
            break;
        case XFRMA_OFFLOAD_DEV:
            read_offload(attrs, state.offload_ifindex);
            break;
    }
}

// A message that is `Wire` and attributes of a `T`.
template <class Wire, class T>
Result<T> parse_whole(ByteView payload, void (*read_attributes)(AttrReader&, T&)) {
    Wire wire{};
    auto attrs = netlink::after_header(payload, wire);
    if (!attrs) return failed(attrs.error());
    auto value = from_wire(wire);
    if (!value) return value;
    read_attributes(*attrs, *value);
    if (attrs->error()) return failed(*attrs->error());
    return value;
}

}  // namespace

void read_state_attributes(AttrReader& attrs, State& state) {
    while (attrs.next())
        if (!read_if_algorithm(attrs, state)) read_state_attribute(attrs, state);
}

void read_policy_attributes(AttrReader& attrs, Policy& policy) {
    while (attrs.next()) {
        switch (attrs.type()) {
            case XFRMA_TMPL:
                read_templates(attrs, policy.templates);
                break;
            case XFRMA_MARK:
                read_mark(attrs, policy.mark);
                break;
            case XFRMA_IF_ID:
                attrs.read(policy.if_id);
                break;
        }
    }
}

Result<State> parse_state(ByteView payload) {
    return parse_whole<xfrm_usersa_info, State>(payload, read_state_attributes);
}

Result<Policy> parse_policy(ByteView payload) {
    return parse_whole<xfrm_userpolicy_info, Policy>(payload, read_policy_attributes);
}

Result<StateCounts> parse_state_counts(ByteView payload) {
    uint32_t flags = 0;
    auto attrs = netlink::after_header(payload, flags);
    if (!attrs) return failed(attrs.error());
    StateCounts counts;
    while (attrs->next()) {
        xfrmu_sadhinfo table{};
        switch (attrs->type()) {
            case XFRMA_SAD_CNT:
                attrs->read(counts.states);
                break;
            case XFRMA_SAD_HINFO:
                attrs->read_struct(table);
                counts.buckets = table.sadhcnt;
                break;
        }
    }
    if (attrs->error()) return failed(*attrs->error());
    return counts;
}

Result<PolicyCounts> parse_policy_counts(ByteView payload) {
    uint32_t flags = 0;
    auto attrs = netlink::after_header(payload, flags);
    if (!attrs) return failed(attrs.error());
    xfrmu_spdinfo info{};
    while (attrs->next())
        if (attrs->type() == XFRMA_SPD_INFO) attrs->read_struct(info);
    if (attrs->error()) return failed(*attrs->error());
    return PolicyCounts{info.incnt, info.outcnt, info.fwdcnt, info.inscnt, info.outscnt};
}

}  // namespace cvlan::xfrm
