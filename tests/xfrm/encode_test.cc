// SPDX-License-Identifier: Apache-2.0
#include "xfrm/encode.h"

#include <gmock/gmock.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <rapidcheck.h>

#include "tests/support/netlink_script.h"
#include "tests/support/xfrm_values.h"
#include "xfrm/client.h"
#include "xfrm/parse.h"

namespace cvlan::xfrm {
namespace {

using testing::HasSubstr;
using tests::keys_for;
using tests::tunnel_policy;
using tests::tunnel_state;

Address any_address(bool is_v4) {
    return *Address::from_bytes(
        *rc::gen::container<Bytes>(is_v4 ? 4 : 16, rc::gen::arbitrary<uint8_t>()));
}

Prefix any_prefix(bool is_v4) {
    return *Prefix::of(any_address(is_v4), *rc::gen::inRange<uint8_t>(0, is_v4 ? 33 : 129));
}

template <class T>
T any() {
    return *rc::gen::arbitrary<T>();
}

Selector any_selector(bool is_v4) {
    return {.source = any_prefix(is_v4),
            .destination = any_prefix(is_v4),
            .protocol = any<uint8_t>(),
            .source_port = {any<uint16_t>(), any<uint16_t>()},
            .destination_port = {any<uint16_t>(), any<uint16_t>()},
            .ifindex = any<int>()};
}

Limits any_limits() {
    return {.soft_bytes = any<uint64_t>(),
            .hard_bytes = any<uint64_t>(),
            .soft_packets = any<uint64_t>(),
            .hard_packets = any<uint64_t>(),
            .soft_add_seconds = any<uint64_t>(),
            .hard_add_seconds = any<uint64_t>(),
            .soft_use_seconds = any<uint64_t>(),
            .hard_use_seconds = any<uint64_t>()};
}

State any_state() {
    const bool is_v4 = any<bool>();
    State state;
    state.id = {
        any_address(is_v4), any<uint32_t>(), any<uint8_t>(), {any<uint32_t>(), any<uint32_t>()}};
    state.source = any_address(is_v4);
    if (any<bool>()) state.selector = any_selector(any<bool>());
    state.mode = static_cast<Mode>(*rc::gen::inRange<int>(0, 5));
    state.reqid = any<uint32_t>();
    state.if_id = any<uint32_t>();
    state.flags = any<uint8_t>() & 0x5f;
    state.extra_flags = any<uint32_t>();
    if (any<bool>()) {
        state.aead = tests::aes_256_gcm();
    } else {
        state.crypt = Algorithm{"cbc(aes)", 128, 0};
        state.auth = Algorithm{"hmac(sha256)", 256, *rc::gen::inRange<uint32_t>(0, 257)};
    }
    if (any<bool>()) state.encapsulation = Encapsulation{2, any<uint16_t>(), any<uint16_t>()};
    state.replay = {.window = *rc::gen::inRange<uint32_t>(0, 4097), .esn = any<bool>()};
    state.limits = any_limits();
    if (any<bool>()) state.output_mark = Mark{any<uint32_t>(), any<uint32_t>()};
    state.sequence = any<uint32_t>();
    return state;
}

Policy any_policy() {
    Policy policy;
    policy.selector = any_selector(any<bool>());
    policy.direction = static_cast<Direction>(*rc::gen::inRange<int>(0, 3));
    policy.index = any<uint32_t>();
    policy.priority = any<uint32_t>();
    policy.if_id = any<uint32_t>();
    policy.mark = {any<uint32_t>(), any<uint32_t>()};
    policy.blocks = any<bool>();
    policy.flags = any<uint8_t>();
    policy.limits = any_limits();
    for (int i = *rc::gen::inRange(0, 6); i > 0; --i) {
        const bool is_v4 = any<bool>();
        policy.templates.push_back({.source = any_address(is_v4),
                                    .destination = any_address(is_v4),
                                    .spi = any<uint32_t>(),
                                    .protocol = any<uint8_t>(),
                                    .reqid = any<uint32_t>(),
                                    .mode = static_cast<Mode>(*rc::gen::inRange<int>(0, 5)),
                                    .optional = any<bool>()});
    }
    return policy;
}

// Requests and answers share their attributes: our own message reads as one of a dump.
TEST(EncodeState, WhatWasEncodedIsParsedBack) {
    EXPECT_TRUE(rc::check([] {
        const State state = any_state();
        const auto message = encode_state(XFRM_MSG_NEWSA, state, keys_for(state));
        RC_ASSERT(message.has_value());
        RC_ASSERT(!message->error());
        const auto read = parse_state(message->payload());
        RC_ASSERT(read.has_value());
        RC_ASSERT(*read == state);
    }));
}

TEST(EncodePolicy, WhatWasEncodedIsParsedBack) {
    EXPECT_TRUE(rc::check([] {
        const Policy policy = any_policy();
        const auto message = encode_policy(XFRM_MSG_NEWPOLICY, policy);
        RC_ASSERT(message.has_value());
        RC_ASSERT(!message->error());
        const auto read = parse_policy(message->payload());
        RC_ASSERT(read.has_value());
        RC_ASSERT(*read == policy);
    }));
}

Error refusal(const State& state, const StateKeys& keys) {
    auto message = encode_state(XFRM_MSG_NEWSA, state, keys);
    return message ? Error{Code::Internal, "taken"} : message.error();
}

TEST(EncodeState, RefusesWhatTheKernelCanNotBeTold) {
    const State good = tunnel_state("192.0.2.1", "192.0.2.2", 1, 1);
    State state = good;
    state.source = *Address::parse("2001:db8::1");
    EXPECT_THAT(refusal(state, keys_for(state)).message, HasSubstr("two families"));
    state = good;
    state.selector =
        Selector{.source = *Prefix::parse("10.0.0.0/8"), .destination = *Prefix::parse("fd00::/8")};
    EXPECT_THAT(refusal(state, keys_for(state)).message, HasSubstr("two families"));
    state = good;
    state.replay.window = 4097;
    EXPECT_THAT(refusal(state, keys_for(state)).message, HasSubstr("4097"));
    EXPECT_EQ(refusal(good, {}).code, Code::Invalid);
    for (const std::string& name : {std::string(), std::string(64, 'a'), std::string("a\0b", 3)}) {
        state = good;
        state.aead->name = name;
        EXPECT_EQ(refusal(state, keys_for(state)).code, Code::Invalid);
    }
    EXPECT_FALSE(encode_state_dump(
        {.source = *Prefix::parse("10.0.0.0/8"), .destination = *Prefix::parse("fd00::/8")}));
    SpiRequest request{.id = {.destination = *Address::parse("fd00::1")}};
    EXPECT_FALSE(encode_spi_request(request));
}

TEST(EncodeState, AKeyOfTheWrongLengthIsNamedAndNotShown) {
    const State state = tunnel_state("192.0.2.1", "192.0.2.2", 1, 1);
    StateKeys keys;
    keys.aead = Key(Bytes(32, 0xee));
    const Error error = refusal(state, keys);
    EXPECT_EQ(error.message, "rfc4106(gcm(aes)): key of 32 bytes where 288 bits belong");
}

TEST(EncodePolicy, RefusesTwoFamilies) {
    Policy policy = tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", 1);
    policy.templates[0].source = *Address::parse("fd00::1");
    EXPECT_FALSE(encode_policy(XFRM_MSG_NEWPOLICY, policy));
    policy = tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", 1);
    policy.selector.source = *Prefix::parse("fd00::/8");
    EXPECT_FALSE(encode_policy(XFRM_MSG_NEWPOLICY, policy));
    EXPECT_FALSE(encode_policy_id(XFRM_MSG_DELPOLICY, {.selector = policy.selector}));
}

// net/xfrm/xfrm_user.c refuses an if_id of 0, and reads a mark as soon as there is one.
TEST(EncodeState, NoMarkAndNoIfIdAreSilence) {
    State state = tunnel_state("192.0.2.1", "192.0.2.2", 1, 0);
    const auto bare = encode_state(XFRM_MSG_NEWSA, state, keys_for(state));
    state.if_id = 1;
    const auto one = encode_state(XFRM_MSG_NEWSA, state, keys_for(state));
    state.id.mark = {0, 1};
    const auto both = encode_state(XFRM_MSG_NEWSA, state, keys_for(state));
    EXPECT_EQ(one->size(), bare->size() + 8);
    EXPECT_EQ(both->size(), one->size() + 12);
}

// --- the client over a scripted kernel ---

using Answers = std::vector<tests::Script::Answer>;

Bytes payload_of(const State& state) {
    auto message = encode_state(XFRM_MSG_NEWSA, state, keys_for(state));
    return {message->payload().begin(), message->payload().end()};
}

TEST(Client, ADumpThatChangedUnderWayIsReadAnew) {
    const Bytes state = payload_of(tunnel_state("192.0.2.1", "192.0.2.2", 1, 1));
    int attempt = 0;
    Client client(tests::scripted([&](ByteView, uint32_t seq) {
        const uint16_t flags = ++attempt == 1 ? NLM_F_DUMP_INTR : 0;
        return Answers{{tests::kernel_message(XFRM_MSG_NEWSA, NLM_F_MULTI, seq, state)},
                       {tests::done(seq, flags)}};
    }));
    EXPECT_EQ(client.states()->size(), 1u);
    EXPECT_EQ(attempt, 2);
}

TEST(Client, AnAnswerOfAnotherKindIsMalformed) {
    const Bytes state = payload_of(tunnel_state("192.0.2.1", "192.0.2.2", 1, 1));
    Client client(tests::scripted([&](ByteView, uint32_t seq) {
        return Answers{{tests::kernel_message(XFRM_MSG_NEWSA, 0, seq, state)}, {tests::done(seq)}};
    }));
    EXPECT_EQ(client.policies().error().code, Code::Malformed);
    Client silent(
        tests::scripted([&](ByteView, uint32_t seq) { return Answers{{tests::ack(seq)}}; }));
    EXPECT_EQ(silent.state_counts().error().code, Code::Malformed);
    EXPECT_EQ(silent.policy_counts().error().code, Code::Malformed);
}

TEST(Client, OneThatCanNotBeRemovedKeepsNoOtherIn) {
    std::vector<uint32_t> removed;
    Client client(tests::scripted([&](ByteView request, uint32_t seq) {
        nlmsghdr head;
        std::memcpy(&head, request.data(), sizeof head);
        if (head.nlmsg_type == XFRM_MSG_GETSA) {
            Bytes all;
            for (uint32_t spi = 1; spi <= 4; ++spi) {
                const Bytes state = payload_of(tunnel_state("192.0.2.1", "192.0.2.2", spi, 9));
                const Bytes one = tests::kernel_message(XFRM_MSG_NEWSA, NLM_F_MULTI, seq, state);
                all.insert(all.end(), one.begin(), one.end());
            }
            return Answers{{all}, {tests::done(seq)}};
        }
        xfrm_usersa_id id;
        std::memcpy(&id, request.data() + sizeof head, sizeof id);
        const uint32_t spi = ntohl(id.spi);
        if (spi == 2) return Answers{{tests::ack(seq, EPERM)}};
        if (spi == 3) return Answers{{tests::ack(seq, ESRCH)}};  // gone by itself
        removed.push_back(spi);
        return Answers{{tests::ack(seq)}};
    }));
    auto done = client.remove_states(9);
    EXPECT_EQ(removed, (std::vector<uint32_t>{1, 4}));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::Denied);
    EXPECT_THAT(done.error().message, HasSubstr("if_id 0x9"));
}

TEST(Client, NamesWhatItWasDoing) {
    Client client(
        tests::scripted([](ByteView, uint32_t seq) { return Answers{{tests::ack(seq, EINVAL)}}; }));
    const State state = tunnel_state("192.0.2.1", "192.0.2.2", 0xc0de0001, 1);
    EXPECT_EQ(client.update_state(state, keys_for(state)).error().message,
              "xfrm: update state esp 192.0.2.2 spi 0xc0de0001: Invalid argument");
    const Policy policy = tunnel_policy(Direction::Forward, "192.0.2.1", "192.0.2.2", 0xca);
    EXPECT_EQ(client.add_policy(policy).error().message,
              "xfrm: add policy fwd 0.0.0.0/0 > 0.0.0.0/0 if_id 0xca: Invalid argument");
    EXPECT_EQ(text(StateId{.destination = *Address::parse("fd00::1"), .spi = 7, .protocol = 51}),
              "protocol 51 fd00::1 spi 0x00000007");
}

}  // namespace
}  // namespace cvlan::xfrm
