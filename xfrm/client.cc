// SPDX-License-Identifier: Apache-2.0
#include "xfrm/client.h"

#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <netinet/in.h>

#include <algorithm>

namespace cvlan::xfrm {

namespace {

using netlink::Message;
using netlink::Reply;

std::string_view name_of(Direction direction) {
    switch (direction) {
        case Direction::In:
            return "in";
        case Direction::Out:
            return "out";
        case Direction::Forward:
            return "fwd";
        case Direction::SocketIn:
            return "socket in";
        case Direction::SocketOut:
            return "socket out";
    }
    return "?";
}

// Every message of the answer has to be of `type`; `parse` gets its payload.
template <class T, class Take>
netlink::OnReply reading(uint16_t type, Result<T> (*parse)(ByteView), Take take) {
    return [type, parse, take](const Reply& reply) -> Result<void> {
        if (reply.type != type)
            return fail(Code::Malformed, "answer of type {} instead of {}", reply.type, type);
        auto value = parse(reply.payload);
        if (!value) return failed(value.error());
        take(std::move(*value));
        return {};
    };
}

// One answer to one question.
template <class T>
Result<T> ask(netlink::Socket& socket, Message& message, uint16_t type,
              Result<T> (*parse)(ByteView)) {
    std::optional<T> answer;
    auto done = socket.request(
        message, reading<T>(type, parse, [&](T value) { answer = std::move(value); }));
    if (!done) return failed(done.error());
    if (!answer) return fail(Code::Malformed, "no answer");
    return std::move(*answer);
}

}  // namespace

std::string text(const StateId& id) {
    const std::string protocol =
        id.protocol == IPPROTO_ESP ? "esp" : fmt::format("protocol {}", id.protocol);
    return fmt::format("{} {} spi {:#010x}", protocol, id.destination.text(), id.spi);
}

std::string text(const PolicyId& id) {
    return fmt::format("{} {} > {} if_id {:#x}", name_of(id.direction), id.selector.source.text(),
                       id.selector.destination.text(), id.if_id);
}

Result<Client> Client::open(const netlink::NetnsFd& netns) {
    auto socket = netlink::Socket::open(NETLINK_XFRM, netns);
    if (socket) return Client(std::move(*socket));
    if (socket.error().code == Code::Unsupported)
        return failed(socket.error().while_doing("the kernel lacks xfrm_user"));
    return failed(socket.error());
}

Result<std::vector<State>> Client::states(const StateFilter& filter) {
    auto message = encode_state_dump(filter);
    if (!message) return failed(message.error().while_doing("xfrm states"));
    std::vector<State> states;
    auto done = socket_.dump(
        *message, [&] { states.clear(); },
        reading<State>(XFRM_MSG_NEWSA, parse_state, [&](State state) {
            if (!filter.if_id || state.if_id == *filter.if_id) states.push_back(std::move(state));
        }));
    if (!done) return failed(done.error().while_doing("xfrm states"));
    return states;
}

Result<State> Client::state(const StateId& id) {
    Message message = encode_state_id(XFRM_MSG_GETSA, id);
    auto state = ask<State>(socket_, message, XFRM_MSG_NEWSA, parse_state);
    if (!state) return failed(state.error().while_doing("xfrm state " + text(id)));
    return state;
}

Result<State> Client::allocate_spi(const SpiRequest& request) {
    auto message = encode_spi_request(request);
    if (!message) return failed(message.error().while_doing("xfrm: allocate spi"));
    auto state = ask<State>(socket_, *message, XFRM_MSG_NEWSA, parse_state);
    if (!state) return failed(state.error().while_doing("xfrm: allocate spi"));
    return state;
}

Result<void> Client::put_state(uint16_t type, const State& state, const StateKeys& keys) {
    auto message = encode_state(type, state, keys);
    auto done = message ? socket_.request(*message) : Result<void>(failed(message.error()));
    if (done) return {};
    const std::string_view verb = type == XFRM_MSG_NEWSA ? "add" : "update";
    return failed(done.error().while_doing(fmt::format("xfrm: {} state {}", verb, text(state.id))));
}

Result<void> Client::add_state(const State& state, const StateKeys& keys) {
    return put_state(XFRM_MSG_NEWSA, state, keys);
}

Result<void> Client::update_state(const State& state, const StateKeys& keys) {
    return put_state(XFRM_MSG_UPDSA, state, keys);
}

Result<void> Client::remove_state(const StateId& id) {
    Message message = encode_state_id(XFRM_MSG_DELSA, id);
    auto done = socket_.request(message);
    if (!done) return failed(done.error().while_doing("xfrm: remove state " + text(id)));
    return {};
}

// Carried out to the end; the first failure is told.
Result<size_t> Client::remove_all(std::vector<Message> messages) {
    size_t removed = 0;
    Result<void> worst;
    for (Result<void>& done : socket_.request_all(messages)) {
        if (done) {
            ++removed;
        } else if (worst && done.error().code != Code::NotFound) {
            worst = std::move(done);
        }
    }
    if (!worst) return failed(worst.error());
    return removed;
}

Result<size_t> Client::remove_states(uint32_t if_id) {
    const std::string doing = fmt::format("xfrm: remove states of if_id {:#x}", if_id);
    auto found = states({.if_id = if_id});
    if (!found) return failed(found.error().while_doing(doing));
    std::vector<Message> messages;
    for (const State& state : *found) messages.push_back(encode_state_id(XFRM_MSG_DELSA, state.id));
    auto removed = remove_all(std::move(messages));
    if (!removed) return failed(removed.error().while_doing(doing));
    return removed;
}

Result<StateCounts> Client::state_counts() {
    Message message(XFRM_MSG_GETSADINFO, 0);
    message.put_header(uint32_t{0});
    auto counts = ask<StateCounts>(socket_, message, XFRM_MSG_NEWSADINFO, parse_state_counts);
    if (!counts) return failed(counts.error().while_doing("xfrm state counts"));
    return counts;
}

Result<std::vector<Policy>> Client::policies() {
    Message message(XFRM_MSG_GETPOLICY, 0);
    std::vector<Policy> policies;
    auto done = socket_.dump(
        message, [&] { policies.clear(); },
        reading<Policy>(XFRM_MSG_NEWPOLICY, parse_policy,
                        [&](Policy policy) { policies.push_back(std::move(policy)); }));
    if (!done) return failed(done.error().while_doing("xfrm policies"));
    return policies;
}

Result<Policy> Client::policy(const PolicyId& id) {
    const std::string doing = "xfrm policy " + text(id);
    auto message = encode_policy_id(XFRM_MSG_GETPOLICY, id);
    if (!message) return failed(message.error().while_doing(doing));
    auto policy = ask<Policy>(socket_, *message, XFRM_MSG_NEWPOLICY, parse_policy);
    if (!policy) return failed(policy.error().while_doing(doing));
    return policy;
}

Result<void> Client::put_policy(uint16_t type, const Policy& policy) {
    auto message = encode_policy(type, policy);
    auto done = message ? socket_.request(*message) : Result<void>(failed(message.error()));
    if (done) return {};
    const std::string_view verb = type == XFRM_MSG_NEWPOLICY ? "add" : "update";
    return failed(
        done.error().while_doing(fmt::format("xfrm: {} policy {}", verb, text(id_of(policy)))));
}

Result<void> Client::add_policy(const Policy& policy) {
    return put_policy(XFRM_MSG_NEWPOLICY, policy);
}

Result<void> Client::update_policy(const Policy& policy) {
    return put_policy(XFRM_MSG_UPDPOLICY, policy);
}

Result<void> Client::remove_policy(const PolicyId& id) {
    auto message = encode_policy_id(XFRM_MSG_DELPOLICY, id);
    auto done = message ? socket_.request(*message) : Result<void>(failed(message.error()));
    if (!done) return failed(done.error().while_doing("xfrm: remove policy " + text(id)));
    return {};
}

Result<size_t> Client::remove_policies(uint32_t if_id) {
    const std::string doing = fmt::format("xfrm: remove policies of if_id {:#x}", if_id);
    auto found = policies();
    if (!found) return failed(found.error().while_doing(doing));
    std::vector<Message> messages;
    for (const Policy& policy : *found) {
        if (policy.if_id != if_id) continue;
        auto message = encode_policy_id(XFRM_MSG_DELPOLICY, id_of(policy));
        if (!message) return failed(message.error().while_doing(doing));
        messages.push_back(std::move(*message));
    }
    auto removed = remove_all(std::move(messages));
    if (!removed) return failed(removed.error().while_doing(doing));
    return removed;
}

Result<PolicyCounts> Client::policy_counts() {
    Message message(XFRM_MSG_GETSPDINFO, 0);
    message.put_header(uint32_t{0});
    auto counts = ask<PolicyCounts>(socket_, message, XFRM_MSG_NEWSPDINFO, parse_policy_counts);
    if (!counts) return failed(counts.error().while_doing("xfrm policy counts"));
    return counts;
}

}  // namespace cvlan::xfrm
