// SPDX-License-Identifier: Apache-2.0
#include "xfrm/encode.h"

#include <netinet/in.h>

#include <algorithm>

#include "xfrm/wire.h"

namespace cvlan::xfrm {

namespace {

using netlink::Message;

constexpr size_t kMaxKey = 512;  // bytes; more than any algorithm has

// Puts `Wire`, one of struct xfrm_algo…, with its key behind it.
template <class Wire>
Result<void> put_algorithm(Message& message, uint16_t type, Wire wire, const Algorithm& algorithm,
                           const Key& key) {
    if (algorithm.name.empty() || algorithm.name.size() >= sizeof wire.alg_name ||
        algorithm.name.find('\0') != std::string::npos)
        return fail(Code::Invalid, "not the name of an algorithm");
    const size_t size = key.bytes().size();
    if (size > kMaxKey || size * 8 != algorithm.key_bits)
        return fail(Code::Invalid, "{}: key of {} bytes where {} bits belong", algorithm.name, size,
                    algorithm.key_bits);
    std::memcpy(wire.alg_name, algorithm.name.data(), algorithm.name.size());
    wire.alg_key_len = algorithm.key_bits;
    netlink::WipedBytes bytes(sizeof wire + size);
    std::memcpy(bytes.data(), &wire, sizeof wire);
    std::copy(key.bytes().begin(), key.bytes().end(), bytes.begin() + sizeof wire);
    message.put_bytes(type, bytes);
    return {};
}

Result<void> put_algorithms(Message& message, const State& state, const StateKeys& keys) {
    if (state.aead) {
        xfrm_algo_aead wire{};
        wire.alg_icv_len = state.aead->icv_bits;
        auto put = put_algorithm(message, XFRMA_ALG_AEAD, wire, *state.aead, keys.aead);
        if (!put) return put;
    }
    if (state.crypt) {
        auto put = put_algorithm(message, XFRMA_ALG_CRYPT, xfrm_algo{}, *state.crypt, keys.crypt);
        if (!put) return put;
    }
    if (!state.auth) return {};
    xfrm_algo_auth wire{};
    wire.alg_trunc_len = state.auth->icv_bits;
    return put_algorithm(message, XFRMA_ALG_AUTH_TRUNC, wire, *state.auth, keys.auth);
}

void put_replay(Message& message, const Replay& replay) {
    if (replay.window <= 32 && !replay.esn) return;
    xfrm_replay_state_esn wire{};
    wire.bmp_len = (replay.window + 31) / 32;
    wire.replay_window = replay.window;
    Bytes bytes(sizeof wire + wire.bmp_len * sizeof(uint32_t));
    std::memcpy(bytes.data(), &wire, sizeof wire);
    message.put_bytes(XFRMA_REPLAY_ESN_VAL, bytes);
}

void put_encapsulation(Message& message, const Encapsulation& encapsulation) {
    xfrm_encap_tmpl wire{};
    wire.encap_type = encapsulation.type;
    wire.encap_sport = htons(encapsulation.source_port);
    wire.encap_dport = htons(encapsulation.destination_port);
    message.put(XFRMA_ENCAP, wire);
}

// 0 is said by silence: the kernel refuses it.
void put_mark_and_if_id(Message& message, const Mark& mark, uint32_t if_id) {
    if (mark != Mark{}) message.put(XFRMA_MARK, to_wire(mark));
    if (if_id != 0) message.put(XFRMA_IF_ID, if_id);
}

}  // namespace

Result<Message> encode_state(uint16_t type, const State& state, const StateKeys& keys) {
    auto info = to_wire(state);
    if (!info) return failed(info.error());
    Message message(type, 0);
    message.put_header(*info);
    auto put = put_algorithms(message, state, keys);
    if (!put) return failed(put.error());
    put_replay(message, state.replay);
    if (state.encapsulation) put_encapsulation(message, *state.encapsulation);
    if (state.output_mark) {
        message.put(XFRMA_SET_MARK, state.output_mark->value);
        message.put(XFRMA_SET_MARK_MASK, state.output_mark->mask);
    }
    if (state.extra_flags != 0) message.put(XFRMA_SA_EXTRA_FLAGS, state.extra_flags);
    put_mark_and_if_id(message, state.id.mark, state.if_id);
    return message;
}

Message encode_state_id(uint16_t type, const StateId& id) {
    Message message(type, 0);
    message.put_header(to_wire(id));
    put_mark_and_if_id(message, id.mark, 0);
    return message;
}

Result<Message> encode_state_dump(const StateFilter& filter) {
    // net/xfrm/xfrm_user.c: xfrm_dump_sa() reads attributes behind no header at all.
    Message message(XFRM_MSG_GETSA, 0);
    if (filter.protocol != 0) message.put(XFRMA_PROTO, filter.protocol);
    if (!filter.source && !filter.destination) return message;
    xfrm_address_filter wire{};
    if (filter.source && filter.destination &&
        filter.source->family() != filter.destination->family())
        return fail(Code::Invalid, "filter of two families");
    const Prefix& either = filter.source ? *filter.source : *filter.destination;
    wire.family = static_cast<uint16_t>(either.address().af());
    if (filter.source) {
        wire.saddr = to_wire(filter.source->address());
        wire.splen = filter.source->length();
    }
    if (filter.destination) {
        wire.daddr = to_wire(filter.destination->address());
        wire.dplen = filter.destination->length();
    }
    message.put(XFRMA_ADDRESS_FILTER, wire);
    return message;
}

Result<Message> encode_spi_request(const SpiRequest& request) {
    State larval{.id = request.id, .source = request.source, .mode = request.mode};
    larval.reqid = request.reqid;
    larval.id.spi = 0;
    auto info = to_wire(larval);
    if (!info) return failed(info.error());
    Message message(XFRM_MSG_ALLOCSPI, 0);
    xfrm_userspi_info wire{};
    wire.info = *info;
    wire.min = request.first;
    wire.max = request.last;
    message.put_header(wire);
    put_mark_and_if_id(message, request.id.mark, request.if_id);
    return message;
}

Result<Message> encode_policy(uint16_t type, const Policy& policy) {
    auto info = to_wire(policy);
    if (!info) return failed(info.error());
    Message message(type, 0);
    message.put_header(*info);
    Bytes templates;
    for (const Template& wanted : policy.templates) {
        auto wire = to_wire(wanted);
        if (!wire) return failed(wire.error());
        const auto* bytes = reinterpret_cast<const uint8_t*>(&*wire);
        templates.insert(templates.end(), bytes, bytes + sizeof *wire);
    }
    if (!templates.empty()) message.put_bytes(XFRMA_TMPL, templates);
    put_mark_and_if_id(message, policy.mark, policy.if_id);
    return message;
}

Result<Message> encode_policy_id(uint16_t type, const PolicyId& id) {
    auto selector = to_wire(id.selector);
    if (!selector) return failed(selector.error());
    Message message(type, 0);
    xfrm_userpolicy_id wire{};
    wire.sel = *selector;
    wire.dir = static_cast<uint8_t>(id.direction);
    message.put_header(wire);
    put_mark_and_if_id(message, id.mark, id.if_id);
    return message;
}

}  // namespace cvlan::xfrm
