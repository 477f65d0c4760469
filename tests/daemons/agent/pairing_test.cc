// SPDX-License-Identifier: Apache-2.0
// A node's side of a pair against the relay's own.
#include "daemons/agent/pairing.h"

#include <gtest/gtest.h>

#include <list>
#include <map>

#include "relay/pairs.h"
#include "stun/builder.h"
#include "tests/relay/fake_pair_host.h"
#include "tests/relay/test_tenant.h"

namespace cvlan::agent {
namespace {

using namespace std::chrono_literals;
using relay::FrameType;
using relay::test::key_of;
using relay::test::kNetwork1;
using relay::test::node_uuid;

const Address kRelay = *Address::parse("192.0.2.9");

// A relay's pairs and the two nodes 1 and 2, each of which is behind one address.
class PairingTest : public ::testing::Test {
protected:
    PairingTest() { begin_relay(); }
    void begin_relay() {
        relay::Pairs::Hooks hooks;
        hooks.tell = [this](uint64_t node, ByteView frames) { told(node, frames); };
        hooks.open_port = [](uint16_t) -> Result<void> { return {}; };
        hooks.close_port = [](uint16_t) {};
        pairs = std::make_unique<relay::Pairs>(clock, kernel, hooks, std::vector{kRelay});
        EXPECT_TRUE(pairs->adopt());
    }
    void told(uint64_t node, ByteView frames) {
        relay::FrameReader reader;
        reader.feed(frames);
        relay::Frame frame;
        Pairing& pairing = nodes[node];
        while (reader.next(frame)) {
            if (frame.type == FrameType::Offer)
                pairing.offered(*relay::parse_offer(frame.body), now());
            if (frame.type == FrameType::Ready)
                pairing.ready(relay::parse_ready(frame.body)->at, now());
        }
    }
    BootTime now() const { return clock.since_boot(); }
    void ask(uint64_t node) {
        const auto own = static_cast<uint8_t>(node), peer = static_cast<uint8_t>(3 - node);
        ids.push_back(node_uuid(own));
        pairs->pair({node, tenant.id, ids.back(), kNetwork1, clock.now() + 24h},
                    {key_of(own), key_of(peer)});
    }
    // Sends what is due and brings the answers back; how many requests left.
    int exchange(uint64_t node, bool is_answered = true) {
        int sent = 0;
        for (const Pairing::Bind& bind : nodes[node].step(now())) {
            ++sent;
            if (is_answered) answer(node, bind);
        }
        return sent;
    }
    void answer(uint64_t node, const Pairing::Bind& bind) {
        const auto request = stun::Message::parse(bind.datagram);
        ASSERT_TRUE(request) << request.error().message;
        Bytes answer(stun::kMostMessage);
        answer.resize(pairs->bind(*request, {addresses[node], 51820}, bind.to, answer));
        if (answer.empty()) return;
        const auto message = stun::Message::parse(answer);
        EXPECT_TRUE(nodes[node].answered(bind.to, *message, now()));
    }

    ManualClock clock{*from_rfc3339("2026-11-20T12:00:00.000Z")};
    relay::test::FakePairHost kernel;
    const relay::test::TestTenant tenant{1};
    std::unique_ptr<relay::Pairs> pairs;
    std::map<uint64_t, Pairing> nodes;
    std::list<std::string> ids;
    std::map<uint64_t, Address> addresses{{1, *Address::parse("198.51.100.1")},
                                          {2, *Address::parse("203.0.113.2")}};
};

TEST_F(PairingTest, IsReadyWhenBothHaveBoundWithTheNonceTheyGot) {
    EXPECT_EQ(exchange(1), 0);
    ask(1);
    ask(2);
    EXPECT_EQ(exchange(1), 1);  // without a nonce
    EXPECT_EQ(exchange(1), 1);  // with the one of the answer, at once
    EXPECT_EQ(exchange(1), 0);
    EXPECT_FALSE(nodes[1].place());
    EXPECT_EQ(exchange(2), 1);
    EXPECT_EQ(exchange(2), 1);
    ASSERT_TRUE(nodes[1].place() && nodes[2].place());
    EXPECT_EQ(nodes[1].place()->address, kRelay);
    EXPECT_EQ(kernel.held.size(), 1u);
}

TEST_F(PairingTest, KeepsTheRelaysPairAliveForHours) {
    ask(1);
    ask(2);
    for (int i = 0; i < 2; ++i)
        for (const uint64_t node : {1u, 2u}) exchange(node);
    int sent = 0;
    for (int second = 0; second < 7200; ++second) {
        clock.advance(1s);
        for (const uint64_t node : {1u, 2u})
            while (const int more = exchange(node)) sent += more;
        pairs->sweep();
    }
    EXPECT_EQ(kernel.held.size(), 1u);
    EXPECT_LT(sent, 2 * 2 * 120 + 10);  // one a minute and side, at most one more for a nonce
}

TEST_F(PairingTest, WhereNothingAnswersItAsksLessAndLess) {
    ask(1);
    int sent = 0;
    for (int second = 0; second < 600; ++second, clock.advance(1s)) sent += exchange(1, false);
    EXPECT_GE(sent, 20);
    EXPECT_LE(sent, 30);
    nodes[1].network_changed(now());
    EXPECT_EQ(exchange(1, false), 1);
}

TEST_F(PairingTest, AnotherAddressIsToldAtOnceWhenTheNetworkChanges) {
    ask(1);
    ask(2);
    for (int i = 0; i < 2; ++i)
        for (const uint64_t node : {1u, 2u}) exchange(node);
    addresses[1] = *Address::parse("198.51.100.77");
    clock.advance(10s);
    nodes[1].network_changed(now());
    while (exchange(1)) {
    }
    ASSERT_EQ(kernel.held.size(), 1u);
    const auto& held = kernel.held.front();
    const Endpoint moved{addresses[1], 51820};
    EXPECT_TRUE(held.first == moved || held.second == moved);
}

TEST_F(PairingTest, AfterARestartOfTheRelayThePlaceStandsUntilItIsReadyAgain) {
    ask(1);
    ask(2);
    for (int i = 0; i < 2; ++i)
        for (const uint64_t node : {1u, 2u}) exchange(node);
    const auto place = nodes[1].place();
    pairs.reset();
    begin_relay();
    ask(1);
    ask(2);
    EXPECT_EQ(nodes[1].place(), place);
    for (int i = 0; i < 3; ++i) {
        for (const uint64_t node : {1u, 2u}) exchange(node);
        clock.advance(1s);
    }
    EXPECT_EQ(nodes[1].place(), place);
    EXPECT_EQ(kernel.held.size(), 1u);
}

TEST_F(PairingTest, AnAnswerThatIsNotTheRelaysChangesNothing) {
    ask(1);
    const auto binds = nodes[1].step(now());
    ASSERT_EQ(binds.size(), 1u);
    const auto request = stun::Message::parse(binds[0].datagram);
    std::array<uint8_t, stun::kMostMessage> buffer;
    Secret<32> wrong;
    wrong.writable()[0] = 1;
    const auto forged =
        stun::Builder(buffer, stun::Class::Error, stun::Method::Bind, request->transaction())
            .error({438, {}})
            .nonce("0000000000000000")
            .integrity(wrong.bytes())
            .fingerprint()
            .finish();
    EXPECT_FALSE(nodes[1].answered(binds[0].to, *stun::Message::parse(*forged), now()));
    EXPECT_TRUE(nodes[1].step(now()).empty());
}

}  // namespace
}  // namespace cvlan::agent
