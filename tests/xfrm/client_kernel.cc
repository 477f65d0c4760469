// SPDX-License-Identifier: Apache-2.0
// The client against a real kernel, with ip(8) as the independent reader and writer.
#include "xfrm/client.h"

#include <gmock/gmock.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <poll.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "netlink/monitor.h"
#include "tests/support/netns.h"
#include "tests/support/xfrm_values.h"

namespace cvlan::xfrm {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::keys_for;
using tests::output_of;
using tests::tunnel_policy;
using tests::tunnel_state;

constexpr uint32_t kIfId = 0xca000001;

// What ip(8) says, in one line with single spaces.
std::string flat(const std::string& command) {
    std::string all;
    for (const char c : output_of(command)) {
        const bool is_space = c == ' ' || c == '\n' || c == '\t';
        if (!is_space) {
            all += c;
        } else if (!all.empty() && all.back() != ' ') {
            all += ' ';
        }
    }
    return all;
}

class Xfrm : public tests::InOwnNetns {
protected:
    void SetUp() override {
        InOwnNetns::SetUp();
        auto client = Client::open(netns());
        ASSERT_TRUE(client) << client.error().message;
        client_ = std::make_unique<Client>(std::move(*client));
    }
    Client& client() { return *client_; }
    State only_state() {
        auto states = client().states();
        EXPECT_TRUE(states) << states.error().message;
        EXPECT_EQ(states->size(), 1u);
        return states && !states->empty() ? states->front() : State();
    }
    void add(const State& state) {
        auto added = client().add_state(state, keys_for(state));
        ASSERT_TRUE(added) << added.error().message;
    }

private:
    std::unique_ptr<Client> client_;
};

TEST_F(Xfrm, SetsAStateThatIpReads) {
    State state = tunnel_state("192.0.2.1", "192.0.2.2", 0xc0de0001, kIfId);
    state.encapsulation = Encapsulation{.source_port = 4500, .destination_port = 4501};
    state.replay = {.window = 256, .esn = true};
    state.limits.soft_bytes = 1000;
    state.limits.hard_packets = 77;
    state.limits.hard_add_seconds = 3600;
    state.output_mark = Mark{0xca000000, 0xff000000};
    state.id.mark = {0x10, 0xf0};
    add(state);
    const std::string shown = flat("ip -d -s xfrm state");
    EXPECT_THAT(shown, HasSubstr("src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xc0de0001"));
    EXPECT_THAT(shown, HasSubstr("reqid 7(0x00000007) mode tunnel"));
    EXPECT_THAT(shown, HasSubstr("replay-window 0 seq 0x00000000 flag af-unspec esn"));
    EXPECT_THAT(shown, HasSubstr("mark 0x10/0xf0"));
    EXPECT_THAT(shown, HasSubstr("output-mark 0xca000000/0xff000000"));
    EXPECT_THAT(shown, HasSubstr("aead rfc4106(gcm(aes)) "
                                 "0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                                 "2021222324 (288 bits) 128"));
    EXPECT_THAT(shown, HasSubstr("encap type espinudp sport 4500 dport 4501"));
    EXPECT_THAT(shown, HasSubstr("replay_window 256, bitmap-length 8"));
    EXPECT_THAT(shown, HasSubstr("limit: soft 1000(bytes), hard (INF)(bytes)"));
    EXPECT_THAT(shown, HasSubstr("soft (INF)(packets), hard 77(packets)"));
    EXPECT_THAT(shown, HasSubstr("expire add: soft 0(sec), hard 3600(sec)"));
    EXPECT_THAT(shown, HasSubstr("if_id 0xca000001"));

    State read = only_state();
    EXPECT_TRUE(read.usage.added_at);
    read.usage = {};
    EXPECT_EQ(read, state);
    EXPECT_EQ(client().state(state.id)->aead, state.aead);
}

TEST_F(Xfrm, ReadsAStateThatIpSets) {
    output_of(
        "ip xfrm state add src 2001:db8::1 dst 2001:db8::2 proto esp spi 0x1234 reqid 9 mode "
        "transport replay-window 64 flag esn enc 'cbc(aes)' "
        "0x000102030405060708090a0b0c0d0e0f auth-trunc 'hmac(sha256)' "
        "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 128 "
        "if_id 5 mark 3 mask 7 sel src 2001:db8::/64 dst 2001:db8::2/128 proto udp sport 5 dport 6 "
        "limit byte-soft 10 limit byte-hard 20 limit time-use-hard 30");
    const State state = only_state();
    EXPECT_EQ(
        state.id,
        (StateId{.destination = *Address::parse("2001:db8::2"), .spi = 0x1234, .mark = {3, 7}}));
    EXPECT_EQ(state.source.text(), "2001:db8::1");
    EXPECT_EQ(state.mode, Mode::Transport);
    EXPECT_EQ(state.reqid, 9u);
    EXPECT_EQ(state.if_id, 5u);
    EXPECT_EQ(state.crypt, (Algorithm{"cbc(aes)", 128, 0}));
    EXPECT_EQ(state.auth, (Algorithm{"hmac(sha256)", 256, 128}));
    EXPECT_FALSE(state.aead);
    EXPECT_EQ(state.replay, (Replay{.window = 64, .esn = true}));
    EXPECT_EQ(state.selector, (Selector{.source = *Prefix::parse("2001:db8::/64"),
                                        .destination = *Prefix::parse("2001:db8::2/128"),
                                        .protocol = 17,
                                        .source_port = {5, 0xffff},
                                        .destination_port = {6, 0xffff}}));
    EXPECT_EQ(state.limits, (Limits{.soft_bytes = 10, .hard_bytes = 20, .hard_use_seconds = 30}));
}

TEST_F(Xfrm, SetsAPolicyThatIpReads) {
    Policy policy = tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", kIfId, "10.0.0.0/8");
    policy.priority = 100;
    policy.mark = {0x10, 0xf0};
    policy.selector.protocol = 6;
    policy.selector.destination_port = {443, 0xffff};
    policy.templates.push_back({.source = *Address::parse("0.0.0.0"),
                                .destination = *Address::parse("0.0.0.0"),
                                .spi = 0x100,
                                .protocol = 51,
                                .mode = Mode::Transport,
                                .optional = true});
    auto added = client().add_policy(policy);
    ASSERT_TRUE(added) << added.error().message;
    const std::string shown = flat("ip -d xfrm policy");
    EXPECT_THAT(shown, HasSubstr("src 10.0.0.0/8 dst 10.0.0.0/8 proto tcp dport 443"));
    EXPECT_THAT(shown, HasSubstr("dir out"));
    EXPECT_THAT(shown, HasSubstr("priority 100"));
    EXPECT_THAT(shown, HasSubstr("mark 0x10/0xf0"));
    EXPECT_THAT(shown, HasSubstr("tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 7 mode tunnel"));
    EXPECT_THAT(shown, HasSubstr("proto ah spi 0x00000100 reqid 0 mode transport level use"));
    EXPECT_THAT(shown, HasSubstr("if_id 0xca000001"));

    auto policies = client().policies();
    ASSERT_TRUE(policies);
    ASSERT_EQ(policies->size(), 1u);
    Policy read = policies->front();
    EXPECT_EQ(read, *client().policy(id_of(policy)));
    EXPECT_NE(read.index, 0u);
    read.index = 0;
    read.usage = {};
    EXPECT_EQ(read, policy);
}

TEST_F(Xfrm, ReadsAPolicyThatIpSets) {
    output_of(
        "ip xfrm policy add src fd00::/64 dst fd01::/64 dir in index 0x48 priority 5 action block "
        "if_id 9 limit packet-hard 7");
    auto policies = client().policies();
    ASSERT_TRUE(policies) << policies.error().message;
    ASSERT_EQ(policies->size(), 1u);
    const Policy& read = policies->front();
    EXPECT_EQ(read.direction, Direction::In);
    EXPECT_EQ(read.index, 0x48u);
    EXPECT_EQ(read.priority, 5u);
    EXPECT_TRUE(read.blocks);
    EXPECT_EQ(read.if_id, 9u);
    EXPECT_EQ(read.selector.destination.text(), "fd01::/64");
    EXPECT_EQ(read.limits.hard_packets, 7u);
    EXPECT_TRUE(read.templates.empty());
}

TEST_F(Xfrm, APolicyIsReplacedByAnUpdateAndNotByAnAddition) {
    Policy policy = tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", kIfId);
    ASSERT_TRUE(client().update_policy(policy));  // there is none yet
    EXPECT_EQ(client().add_policy(policy).error().code, Code::Exists);
    policy.blocks = true;
    policy.templates.clear();
    ASSERT_TRUE(client().update_policy(policy));
    EXPECT_EQ(client().policies()->size(), 1u);
    EXPECT_TRUE(client().policy(id_of(policy))->blocks);
    // Another interface's is another one, whatever else is the same.
    Policy others = policy;
    others.if_id = kIfId + 1;
    ASSERT_TRUE(client().add_policy(others));
    EXPECT_EQ(*client().policy_counts(), (PolicyCounts{.out = 2}));
    EXPECT_EQ(client().remove_policies(kIfId).value(), 1u);
    EXPECT_EQ(client().policies()->size(), 1u);
    ASSERT_TRUE(client().remove_policy(id_of(others)));
    EXPECT_EQ(client().remove_policy(id_of(others)).error().code, Code::NotFound);
    EXPECT_EQ(client().policy(id_of(others)).error().code, Code::NotFound);
    EXPECT_EQ(*client().policy_counts(), PolicyCounts{});
}

TEST_F(Xfrm, WhatIsThereAndWhatIsMissingIsSaid) {
    const State state = tunnel_state("192.0.2.1", "192.0.2.2", 0x1001, kIfId);
    EXPECT_EQ(client().update_state(state, keys_for(state)).error().code, Code::NotFound);
    EXPECT_EQ(client().state(state.id).error().code, Code::NotFound);
    add(state);
    auto twice = client().add_state(state, keys_for(state));
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code, Code::Exists);
    EXPECT_THAT(twice.error().message, HasSubstr("add state esp 192.0.2.2 spi 0x00001001"));
    ASSERT_TRUE(client().remove_state(state.id));
    EXPECT_EQ(client().remove_state(state.id).error().code, Code::NotFound);
    State odd = state;
    odd.aead->name = "rfc4106(gcm(none))";
    EXPECT_FALSE(client().add_state(odd, keys_for(odd)));
    EXPECT_TRUE(client().states()->empty());
}

TEST_F(Xfrm, AnUpdateChangesLimitsAndPortsAndLeavesTheKey) {
    State state = tunnel_state("192.0.2.1", "192.0.2.2", 0x1001, kIfId);
    state.encapsulation = Encapsulation{.source_port = 4500, .destination_port = 4500};
    add(state);
    state.encapsulation->destination_port = 1024;
    state.limits.hard_bytes = 5000;
    StateKeys others;
    others.aead = Key(Bytes(36, 0xee));
    auto updated = client().update_state(state, others);
    ASSERT_TRUE(updated) << updated.error().message;
    State read = only_state();
    read.usage = {};
    EXPECT_EQ(read, state);
    EXPECT_THAT(output_of("ip xfrm state"), Not(HasSubstr("eeeeee")));
}

TEST_F(Xfrm, ANumberIsReservedAndThenFilled) {
    const auto destination = *Address::parse("192.0.2.2");
    SpiRequest request{.id = {.destination = destination}, .source = *Address::parse("192.0.2.1")};
    request.reqid = 7;
    request.if_id = kIfId;
    request.first = 0xc0000000;
    request.last = 0xc0000fff;
    auto larval = client().allocate_spi(request);
    ASSERT_TRUE(larval) << larval.error().message;
    EXPECT_GE(larval->id.spi, request.first);
    EXPECT_LE(larval->id.spi, request.last);
    EXPECT_FALSE(larval->aead);
    State whole = tunnel_state("192.0.2.1", "192.0.2.2", larval->id.spi, kIfId);
    auto filled = client().update_state(whole, keys_for(whole));
    ASSERT_TRUE(filled) << filled.error().message;
    EXPECT_EQ(only_state().aead, whole.aead);
    request.first = request.last = larval->id.spi;
    EXPECT_FALSE(client().allocate_spi(request));
}

TEST_F(Xfrm, ADumpIsFiltered) {
    for (uint32_t i = 1; i <= 6; ++i)
        add(tunnel_state("192.0.2.1", fmt::format("198.51.100.{}", i), 0x1000 + i,
                         i % 2 == 0 ? kIfId : kIfId + 1));
    add(tunnel_state("2001:db8::1", "2001:db8::2", 0x2000, kIfId));
    EXPECT_EQ(client().states()->size(), 7u);
    EXPECT_EQ(client().states({.if_id = kIfId})->size(), 4u);
    const auto few = Prefix::parse("198.51.100.4/30");
    EXPECT_EQ(client().states({.destination = *few})->size(), 3u);
    EXPECT_EQ(client().states({.destination = *few, .if_id = kIfId})->size(), 2u);
    EXPECT_EQ(client().states({.source = *Prefix::parse("2001:db8::/32")})->size(), 1u);
    EXPECT_EQ(client().states({.protocol = 51})->size(), 0u);
    EXPECT_EQ(client().states({.protocol = 50})->size(), 7u);
}

TEST_F(Xfrm, TenThousandStatesAreListedExactly) {
    constexpr uint32_t kCount = 10000;
    for (uint32_t i = 0; i < kCount; ++i) {
        const State state = tunnel_state("192.0.2.1", "192.0.2.2", 0x10000 + i, kIfId + i % 10);
        auto added = client().add_state(state, keys_for(state));
        ASSERT_TRUE(added) << added.error().message;
    }
    EXPECT_EQ(client().state_counts()->states, kCount);
    auto states = client().states();
    ASSERT_TRUE(states) << states.error().message;
    std::set<uint32_t> spis;
    for (const State& state : *states) spis.insert(state.id.spi);
    EXPECT_EQ(states->size(), kCount);
    EXPECT_EQ(spis.size(), kCount);
    EXPECT_EQ(client().states({.if_id = kIfId})->size(), kCount / 10);
    EXPECT_EQ(client().remove_states(kIfId).value(), kCount / 10);
    EXPECT_EQ(client().states({.if_id = kIfId})->size(), 0u);
    EXPECT_EQ(client().state_counts()->states, kCount - kCount / 10);
    EXPECT_THAT(output_of("ip xfrm state count"), HasSubstr("SAD count 9000"));
}

TEST_F(Xfrm, BelongsToItsNamespace) {
    const netlink::NetnsFd other = tests::new_netns();
    auto there = Client::open(other);
    ASSERT_TRUE(there) << there.error().message;
    const State state = tunnel_state("192.0.2.1", "192.0.2.2", 0x1001, kIfId);
    ASSERT_TRUE(there->add_state(state, keys_for(state)));
    EXPECT_TRUE(client().states()->empty());
    EXPECT_EQ(there->states()->size(), 1u);
}

TEST_F(Xfrm, TheNthRequestFailsAtTheSocket) {
    netlink::Tally tally;
    client().socket().set_tally(&tally);
    const State state = tunnel_state("192.0.2.1", "192.0.2.2", 0x1001, kIfId);
    tally.fail_nth = 1;
    tally.fail_errno = EBUSY;
    EXPECT_EQ(client().add_state(state, keys_for(state)).error().code, Code::Unavailable);
    EXPECT_TRUE(client().states()->empty());
    add(state);
    tally.fail_nth = 2;  // the dump goes well, the removal is not acknowledged
    tally.fail_after = true;
    EXPECT_EQ(client().remove_states(kIfId).error().code, Code::Unavailable);
    EXPECT_EQ(client().remove_states(kIfId).value(), 0u);
    EXPECT_TRUE(client().states()->empty());
}

// Each message behind its type and length in host order.
std::string recorded(const netlink::Reply& reply) {
    const auto size = static_cast<uint32_t>(reply.payload.size());
    std::string bytes(reinterpret_cast<const char*>(&reply.type), sizeof reply.type);
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
    return bytes.append(as_text(reply.payload));
}

// With CVLAN_RECORD=FILE, keeps what the kernel says for tests/data/xfrm_recorded.bin: first the
// dumps of one of everything, then the events of taking it away.
TEST_F(Xfrm, RecordsDumpsAndEvents) {
    State gcm = tunnel_state("192.0.2.1", "192.0.2.2", 0xc0de0001, kIfId);
    gcm.encapsulation = Encapsulation{.source_port = 4500, .destination_port = 4501};
    gcm.replay = {.window = 256, .esn = true};
    gcm.output_mark = Mark{0xca000000, 0xff000000};
    gcm.id.mark = {0x10, 0xf0};
    gcm.limits.soft_bytes = 1000;
    add(gcm);
    output_of(
        "ip xfrm state add src 2001:db8::1 dst 2001:db8::2 proto esp spi 0x1234 reqid 9 mode "
        "transport enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f auth-trunc 'hmac(sha256)' "
        "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 128 if_id 5 "
        "sel src 2001:db8::/64 dst 2001:db8::2/128 proto udp sport 5 dport 6 extra-flag "
        "oseq-may-wrap");
    ASSERT_TRUE(
        client().add_policy(tunnel_policy(Direction::Out, "192.0.2.1", "192.0.2.2", kIfId)));
    output_of("ip xfrm policy add src fd00::/64 dst fd01::/64 dir in action block if_id 9 mark 1");

    std::string all;
    const auto keep = [&](const netlink::Reply& reply) -> Result<void> {
        all += recorded(reply);
        return {};
    };
    netlink::Message states(XFRM_MSG_GETSA, 0);
    ASSERT_TRUE(client().socket().dump(
        states, [] {}, keep));
    netlink::Message policies(XFRM_MSG_GETPOLICY, 0);
    ASSERT_TRUE(client().socket().dump(
        policies, [] {}, keep));
    auto monitor = netlink::Monitor::open(
        NETLINK_XFRM, netns(),
        {XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_SA, XFRMNLGRP_POLICY, XFRMNLGRP_MAPPING});
    ASSERT_TRUE(monitor);
    ASSERT_TRUE(client().remove_state(gcm.id));
    ASSERT_TRUE(client().remove_policies(kIfId));
    output_of("ip xfrm state flush; ip xfrm policy flush");
    ASSERT_TRUE(monitor->read([&](const netlink::Reply& reply) { (void)keep(reply); }));
    EXPECT_GT(all.size(), 2000u);
    const char* path = std::getenv("CVLAN_RECORD");
    if (path != nullptr) std::ofstream(path, std::ios::binary) << all;
}

}  // namespace
}  // namespace cvlan::xfrm
