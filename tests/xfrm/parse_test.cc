// SPDX-License-Identifier: Apache-2.0
#include "xfrm/parse.h"

#include <gmock/gmock.h>
#include <linux/xfrm.h>

#include <fstream>
#include <iterator>

#include "tests/support/sources.h"
#include "tests/support/xfrm_values.h"
#include "xfrm/encode.h"
#include "xfrm/event.h"
#include "xfrm/statistics.h"
#include "xfrm/wire.h"

namespace cvlan::xfrm {
namespace {

using netlink::Message;
using testing::HasSubstr;
using tests::keys_for;
using tests::tunnel_policy;
using tests::tunnel_state;

Bytes payload_of(const Message& message) {
    return {message.payload().begin(), message.payload().end()};
}

// A header and attributes as the kernel would send them.
template <class Header>
Bytes payload_with(const Header& header, const std::function<void(Message&)>& fill) {
    Message message(0, 0);
    message.put_header(header);
    fill(message);
    return payload_of(message);
}

xfrm_usersa_info bare_state() {
    return *to_wire(tunnel_state("192.0.2.1", "192.0.2.2", 0x1001, 0));
}

xfrm_userpolicy_info bare_policy() {
    return *to_wire(tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", 0));
}

Result<State> state_with(const std::function<void(Message&)>& fill) {
    return parse_state(payload_with(bare_state(), fill));
}

std::vector<netlink::Reply> recorded(const Bytes& all) {
    std::vector<netlink::Reply> messages;
    for (ByteView rest = all; rest.size() >= 6;) {
        netlink::Reply message;
        uint32_t size = 0;
        std::memcpy(&message.type, rest.data(), 2);
        std::memcpy(&size, rest.data() + 2, 4);
        if (size > rest.size() - 6) break;
        message.payload = rest.subspan(6, size);
        messages.push_back(message);
        rest = rest.subspan(6 + size);
    }
    return messages;
}

Bytes recording() {
    std::ifstream file(test::source_file("tests/data/xfrm_recorded.bin"), std::ios::binary);
    EXPECT_TRUE(file);
    return {std::istreambuf_iterator<char>(file), {}};
}

// Recorded from a 6.1 kernel by tests/xfrm/client_kernel.cc: two states and two policies, and the
// events of their going.
TEST(ParseState, ReadsWhatARealKernelSent) {
    const Bytes all = recording();
    const auto messages = recorded(all);
    ASSERT_EQ(messages.size(), 8u);
    std::vector<State> states;
    for (size_t i : {0u, 1u}) {
        ASSERT_EQ(messages[i].type, XFRM_MSG_NEWSA);
        auto state = parse_state(messages[i].payload);
        ASSERT_TRUE(state) << state.error().message;
        EXPECT_TRUE(state->usage.added_at);
        EXPECT_FALSE(state->usage.used_at);
        state->usage = {};
        states.push_back(*state);
    }
    State gcm = tunnel_state("192.0.2.1", "192.0.2.2", 0xc0de0001, 0xca000001);
    gcm.encapsulation = Encapsulation{.source_port = 4500, .destination_port = 4501};
    gcm.replay = {.window = 256, .esn = true};
    gcm.output_mark = Mark{0xca000000, 0xff000000};
    gcm.id.mark = {0x10, 0xf0};
    gcm.limits.soft_bytes = 1000;
    EXPECT_THAT(states, testing::Contains(gcm));
    State cbc;
    cbc.id = {.destination = *Address::parse("2001:db8::2"), .spi = 0x1234};
    cbc.source = *Address::parse("2001:db8::1");
    cbc.selector = Selector{.source = *Prefix::parse("2001:db8::/64"),
                            .destination = *Prefix::parse("2001:db8::2/128"),
                            .protocol = 17,
                            .source_port = {5, 0xffff},
                            .destination_port = {6, 0xffff}};
    cbc.mode = Mode::Transport;
    cbc.reqid = 9;
    cbc.if_id = 5;
    cbc.extra_flags = XFRM_SA_XFLAG_OSEQ_MAY_WRAP;
    cbc.crypt = Algorithm{"cbc(aes)", 128, 0};
    cbc.auth = Algorithm{"hmac(sha256)", 256, 128};
    EXPECT_THAT(states, testing::Contains(cbc));
}

TEST(ParsePolicy, ReadsWhatARealKernelSent) {
    const Bytes all = recording();
    const auto messages = recorded(all);
    std::vector<Policy> policies;
    for (size_t i : {2u, 3u}) {
        ASSERT_EQ(messages[i].type, XFRM_MSG_NEWPOLICY);
        auto policy = parse_policy(messages[i].payload);
        ASSERT_TRUE(policy) << policy.error().message;
        EXPECT_NE(policy->index, 0u);
        policy->index = 0;
        policy->usage = {};
        policies.push_back(*policy);
    }
    EXPECT_THAT(policies, testing::Contains(
                              tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", 0xca000001)));
    Policy block;
    block.selector = {.source = *Prefix::parse("fd00::/64"),
                      .destination = *Prefix::parse("fd01::/64")};
    block.direction = Direction::In;
    block.blocks = true;
    block.if_id = 9;
    block.mark = {1, 0xffffffff};
    EXPECT_THAT(policies, testing::Contains(block));
}

TEST(ParseEvent, ReadsWhatARealKernelSent) {
    const Bytes all = recording();
    const auto messages = recorded(all);
    std::vector<Event> events;
    for (size_t i = 4; i < messages.size(); ++i) {
        auto event = parse_event(messages[i]);
        ASSERT_TRUE(event) << event.error().message;
        ASSERT_TRUE(*event);
        events.push_back(**event);
    }
    ASSERT_EQ(events.size(), 4u);
    const auto& removed = std::get<StateRemoved>(events[0]);
    EXPECT_EQ(removed.id, (StateId{.destination = *Address::parse("192.0.2.2"),
                                   .spi = 0xc0de0001,
                                   .mark = {0x10, 0xf0}}));
    ASSERT_TRUE(removed.state);
    EXPECT_EQ(removed.state->if_id, 0xca000001u);
    EXPECT_EQ(removed.state->aead, tests::aes_256_gcm());
    EXPECT_EQ(std::get<PolicyRemoved>(events[1]).policy.if_id, 0xca000001u);
    EXPECT_EQ(std::get<PolicyRemoved>(events[1]).policy.templates.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<StatesFlushed>(events[2]));
    EXPECT_TRUE(std::holds_alternative<PoliciesFlushed>(events[3]));
}

TEST(ParseState, RejectsWhatIsCutShort) {
    const Bytes all = recording();
    for (const netlink::Reply& whole : recorded(all)) {
        size_t taken = 0;
        for (size_t size = 0; size < whole.payload.size(); ++size) {
            netlink::Reply cut = whole;
            cut.payload = whole.payload.first(size);
            taken += parse_event(cut) ? 1 : 0;
        }
        // One that ends between two attributes is a whole one, with less in it.
        EXPECT_LE(taken, 16u) << whole.type;
    }
}

TEST(ParseState, RejectsAttributesOfTheWrongSize) {
    const auto put = [](uint16_t type, size_t size) {
        return state_with([&](Message& m) { m.put_bytes(type, Bytes(size)); });
    };
    for (const auto& [type, size] :
         std::vector<std::pair<uint16_t, size_t>>{{XFRMA_IF_ID, 3},
                                                  {XFRMA_MARK, 7},
                                                  {XFRMA_ENCAP, 4},
                                                  {XFRMA_SET_MARK, 8},
                                                  {XFRMA_SET_MARK_MASK, 0},
                                                  {XFRMA_SA_EXTRA_FLAGS, 2},
                                                  {XFRMA_OFFLOAD_DEV, 4},
                                                  {XFRMA_REPLAY_VAL, 11},
                                                  {XFRMA_REPLAY_ESN_VAL, 23},
                                                  {XFRMA_ALG_AEAD, 71},
                                                  {XFRMA_ALG_CRYPT, 67},
                                                  {XFRMA_ALG_AUTH, 10},
                                                  {XFRMA_ALG_AUTH_TRUNC, 71}}) {
        auto state = put(type, size);
        ASSERT_FALSE(state) << type;
        EXPECT_EQ(state.error().code, Code::Malformed);
    }
    // What a newer kernel adds is passed over.
    EXPECT_TRUE(put(999, 3));
}

TEST(ParseState, RejectsAlgorithmsThatAreNotWhole) {
    xfrm_algo_aead aead{};
    std::strcpy(aead.alg_name, "rfc4106(gcm(aes))");
    aead.alg_key_len = 8;  // a byte that is not there
    const auto put = [](const xfrm_algo_aead& value) {
        return state_with([&](Message& m) {
            m.put_bytes(XFRMA_ALG_AEAD, {reinterpret_cast<const uint8_t*>(&value), sizeof value});
        });
    };
    EXPECT_THAT(put(aead).error().message, HasSubstr("key longer"));
    aead.alg_key_len = 0xffffffff;
    EXPECT_FALSE(put(aead));
    aead.alg_key_len = 0;
    EXPECT_TRUE(put(aead));
    std::memset(aead.alg_name, 'a', sizeof aead.alg_name);
    EXPECT_THAT(put(aead).error().message, HasSubstr("name without an end"));
    xfrm_replay_state_esn replay{};
    replay.bmp_len = 0x40000000;  // times four is nothing, in 32 bits
    const auto state = state_with([&](Message& m) {
        m.put_bytes(XFRMA_REPLAY_ESN_VAL,
                    {reinterpret_cast<const uint8_t*>(&replay), sizeof replay});
    });
    EXPECT_THAT(state.error().message, HasSubstr("window longer"));
}

TEST(ParseState, RejectsHeadersThatSayNonsense) {
    const auto refused = [](const std::function<void(xfrm_usersa_info&)>& spoil) {
        xfrm_usersa_info info = bare_state();
        spoil(info);
        auto state = parse_state(payload_with(info, [](Message&) {}));
        return !state && state.error().code == Code::Malformed;
    };
    EXPECT_TRUE(refused([](auto& info) { info.family = 99; }));
    EXPECT_TRUE(refused([](auto& info) { info.mode = XFRM_MODE_MAX; }));
    EXPECT_TRUE(refused([](auto& info) { info.curlft.add_time = ~uint64_t{0}; }));
    EXPECT_TRUE(refused([](auto& info) { info.curlft.use_time = 253402300800; }));
    EXPECT_TRUE(refused([](auto& info) { info.sel.family = 1; }));
    EXPECT_TRUE(refused([](auto& info) {
        info.sel.family = AF_INET;
        info.sel.prefixlen_d = 33;
    }));
    EXPECT_FALSE(refused([](auto&) {}));
}

TEST(ParsePolicy, RejectsNonsense) {
    const auto refused = [](const std::function<void(xfrm_userpolicy_info&)>& spoil) {
        xfrm_userpolicy_info info = bare_policy();
        spoil(info);
        return !parse_policy(payload_with(info, [](Message&) {}));
    };
    EXPECT_TRUE(refused([](auto& info) { info.sel.family = 0; }));
    EXPECT_TRUE(refused([](auto& info) { info.dir = 5; }));
    EXPECT_TRUE(refused([](auto& info) { info.curlft.add_time = ~uint64_t{0}; }));
    EXPECT_FALSE(refused([](auto& info) { info.dir = 4; }));
    const auto with_templates = [](const Bytes& bytes) {
        return parse_policy(
            payload_with(bare_policy(), [&](Message& m) { m.put_bytes(XFRMA_TMPL, bytes); }));
    };
    EXPECT_FALSE(with_templates(Bytes(63)));
    EXPECT_FALSE(with_templates(Bytes(64)));  // of no family
    Bytes good(sizeof(xfrm_user_tmpl));
    xfrm_user_tmpl wire{};
    wire.family = AF_INET6;
    std::memcpy(good.data(), &wire, sizeof wire);
    EXPECT_EQ(with_templates(good)->templates.size(), 1u);
    wire.mode = 9;
    std::memcpy(good.data(), &wire, sizeof wire);
    EXPECT_FALSE(with_templates(good));
}

TEST(ParseState, TheBitsOfReplayAreJoined) {
    xfrm_replay_state_esn esn{};
    esn.oseq = 1;
    esn.oseq_hi = 2;
    esn.seq = 3;
    esn.seq_hi = 4;
    esn.replay_window = 64;
    esn.bmp_len = 2;
    Bytes bytes(sizeof esn + 8);
    std::memcpy(bytes.data(), &esn, sizeof esn);
    auto state = state_with([&](Message& m) { m.put_bytes(XFRMA_REPLAY_ESN_VAL, bytes); });
    ASSERT_TRUE(state);
    EXPECT_EQ(state->replay, (Replay{.window = 64,
                                     .sent = (uint64_t{2} << 32) + 1,
                                     .received = (uint64_t{4} << 32) + 3}));
    state = state_with([](Message& m) { m.put(XFRMA_REPLAY_VAL, xfrm_replay_state{5, 6, 7}); });
    EXPECT_EQ(state->replay, (Replay{.window = 32, .sent = 5, .received = 6}));
    state = state_with([](Message& m) { m.put(XFRMA_OFFLOAD_DEV, xfrm_user_offload{7, 2}); });
    EXPECT_EQ(state->offload_ifindex, 7);
}

TEST(ParseCounts, ReadsBothTables) {
    const auto states = payload_with(uint32_t{0}, [](Message& m) {
        m.put(XFRMA_SAD_CNT, uint32_t{9});
        m.put(XFRMA_SAD_HINFO, xfrmu_sadhinfo{8, 1048576});
    });
    EXPECT_EQ(*parse_state_counts(states), (StateCounts{9, 8}));
    const auto policies = payload_with(uint32_t{0}, [](Message& m) {
        m.put(XFRMA_SPD_INFO, xfrmu_spdinfo{1, 2, 3, 4, 5, 6});
    });
    EXPECT_EQ(*parse_policy_counts(policies), (PolicyCounts{1, 2, 3, 4, 5}));
    EXPECT_FALSE(parse_state_counts(Bytes(3)));
    EXPECT_FALSE(parse_policy_counts(Bytes(3)));
    EXPECT_FALSE(parse_state_counts(
        payload_with(uint32_t{0}, [](Message& m) { m.put(XFRMA_SAD_CNT, uint16_t{9}); })));
    EXPECT_FALSE(parse_policy_counts(
        payload_with(uint32_t{0}, [](Message& m) { m.put(XFRMA_SPD_INFO, uint16_t{9}); })));
}

TEST(ParseStatistics, ReadsANameAndANumberALine) {
    const auto found = parse_statistics("XfrmInError             \t0\nXfrmOutNoStates\t17\n");
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, (Statistics{{"XfrmInError", 0}, {"XfrmOutNoStates", 17}}));
    EXPECT_TRUE(parse_statistics("")->empty());
    for (const auto* bad : {"XfrmInError", "XfrmInError ", "XfrmInError x", "XfrmInError 1x", " 1",
                            "\n", "A 99999999999999999999"})
        EXPECT_EQ(parse_statistics(bad).error().code, Code::Malformed) << bad;
}

}  // namespace
}  // namespace cvlan::xfrm
