// SPDX-License-Identifier: Apache-2.0
// What clients of a relay see: who is let in, whose packets come where, and what is dropped.
#include "relay/server.h"

#include <gtest/gtest.h>

#include "relay/websocket.h"
#include "tests/relay/relay_fixture.h"

namespace cvlan::relay::test {
namespace {

using namespace std::chrono_literals;

TEST(ARelay, GreetsWithItsStunEndpoints) {
    TestRelay relay;
    TestClient client(relay.at(), relay.first, relay.first.node(1));
    ASSERT_EQ(client.status(), 101);
    const auto hello = client.next();
    ASSERT_TRUE(hello);
    ASSERT_EQ(hello->type, FrameType::Hello);
    EXPECT_EQ(parse_hello(hello->body)->stun.at(0).text(), "192.0.2.1:3478");
}

TEST(ARelay, CarriesPacketsBetweenNodesOfANetwork) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    a->send(key_of(0xb2), "hello");
    EXPECT_EQ(b->packet(), "161:hello");
    b->send(key_of(0xa1), "and back");
    EXPECT_EQ(a->packet(), "178:and back");
    EXPECT_EQ(relay.stats().packets, 2u);
    EXPECT_EQ(relay.stats().bytes, 13u);
}

TEST(ARelay, CarriesPacketsOfEverySizeInTheirOrder) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    for (const size_t size : {size_t{0}, size_t{1}, size_t{1280}, size_t{16 * 1024}, kMostPacket}) {
        a->send(key_of(0xb2), std::string(size, 'x'));
        a->send(key_of(0xb2), "next");
        EXPECT_EQ(b->packet(), "161:" + std::string(size, 'x'));
        EXPECT_EQ(b->packet(), "161:next");
    }
}

TEST(ARelay, ReadsFramesThatAreCutAnywhere) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    Bytes frame;
    put_packet(frame, FrameType::Send, {key_of(0xb2).bytes(), as_bytes("slowly")});
    for (const uint8_t byte : frame) ASSERT_TRUE(a->write({&byte, 1}));
    EXPECT_EQ(b->packet(), "161:slowly");
}

TEST(ARelay, SkipsFramesThatItDoesNotKnow) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    a->write_frame(static_cast<FrameType>(0x77), Bytes(100));
    a->send(key_of(0xb2), "still here");
    EXPECT_EQ(b->packet(), "161:still here");
}

TEST(ARelay, AnswersAPing) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1);
    a->ping();
    const auto pong = a->next();
    ASSERT_TRUE(pong);
    EXPECT_EQ(pong->type, FrameType::Pong);
    EXPECT_EQ(pong->body, Bytes(8, 7));
}

TEST(ARelay, LetsNobodySpeakBeforeAGrant) {
    TestRelay relay;
    const auto b = relay.client(2, 0xb2);
    TestClient a(relay.at(), relay.first, relay.first.node(1));
    a.send(key_of(0xb2), "who am I?");
    const auto gone = a.next(FrameType::PeerGone);
    ASSERT_TRUE(gone);
    EXPECT_EQ(parse_peer_gone(gone->body)->reason, Gone::NotHere);
    EXPECT_EQ(relay.stats().dropped_no_grant, 1u);
}

TEST(ARelay, CarriesNothingFromOneNetworkToAnother) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1, kNetwork1), b = relay.client(2, 0xb2, kNetwork2);
    a->send(key_of(0xb2), "hello");
    EXPECT_TRUE(a->next(FrameType::PeerGone));
    EXPECT_EQ(relay.stats().packets, 0u);
}

TEST(ARelay, ShowsASenderByItsKeyInTheReceiversNetwork) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1, kNetwork1), b = relay.client(2, 0xb2, kNetwork2);
    EXPECT_EQ(
        a->show(relay.first.sign(relay.first.grant(1, key_of(0xa9), relay.clock.now(), kNetwork2))),
        FrameType::Granted);
    a->send(key_of(0xb2), "hello");
    EXPECT_EQ(b->packet(), "169:hello");
}

TEST(ARelay, CarriesNothingFromOneTenantToAnother) {
    TestTenant other(2), own(1);
    TestRelay relay({&own, &other});
    TestClient a(relay.at(), own, own.node(1)), b(relay.at(), other, other.node(2));
    EXPECT_EQ(a.show(own.sign(own.grant(1, key_of(0xa1), relay.clock.now()))), FrameType::Granted);
    EXPECT_EQ(b.show(other.sign(other.grant(2, key_of(0xb2), relay.clock.now()))),
              FrameType::Granted);
    a.send(key_of(0xb2), "hello");
    EXPECT_TRUE(a.next(FrameType::PeerGone));
    // Not even with the same key in both.
    TestClient c(relay.at(), own, own.node(3));
    EXPECT_EQ(c.show(own.sign(own.grant(3, key_of(0xb2), relay.clock.now()))), FrameType::Granted);
    a.send(key_of(0xb2), "hello");
    EXPECT_EQ(c.packet(), "161:hello");
}

TEST(ARelay, LetsInNodesOfTheTenantWhoseNameTheyAskForAlone) {
    TestTenant own(1), other(2);
    TestRelay relay({&own, &other});
    // The other tenant's CA says that it is a node of the first.
    TestClient impostor(relay.at(), other, other.node(1, own.id));
    EXPECT_EQ(impostor.status(), 403);
    // A good node of the first, that asks for the other's name.
    TestClient lost(relay.at(), other, own.node(1));
    EXPECT_EQ(lost.status(), 0);
    EXPECT_EQ(relay.stats().sessions, 0u);
}

TEST(ARelay, RefusesGrantsThatAreNotThisNodesOwnAndInTime) {
    TestRelay relay;
    const TestTenant& own = relay.first;
    const TestTenant other(2);
    const WallTime now = relay.clock.now();
    const auto good = [&] { return own.grant(1, key_of(0xa1), now); };
    auto old = good(), early = good(), eternal = good(), of_other_tenant = good(), keyless = good();
    old.expires_at = now;
    early.issued_at = now + 1h;
    eternal.expires_at = now + std::chrono::hours(24 * 365);
    of_other_tenant.tenant_id = other.id;
    keyless.wireguard_public_key = "AAAA";
    std::string changed = own.sign(good());
    changed[changed.find("\"payload\":\"") + 30] ^= 1;
    const std::pair<const char*, std::string> wrong[] = {
        {"another node's", own.sign(own.grant(2, key_of(0xa1), now))},
        {"another key's signature", other.sign(good())},
        {"out of time", own.sign(old)},
        {"of the future", own.sign(early)},
        {"for a year", own.sign(eternal)},
        {"another tenant's", own.sign(of_other_tenant)},
        {"without a key", own.sign(keyless)},
        {"changed", changed},
        {"a map's head", wire::encode(wire::SignedBytes{})},
        {"no JSON", "hello"},
        {"too long", std::string(5000, ' ')},
    };
    TestClient client(relay.at(), own, own.node(1));
    for (const auto& [what, grant] : wrong) EXPECT_EQ(client.show(grant), FrameType::Error) << what;
    EXPECT_EQ(client.show(own.sign(good())), FrameType::Granted);
    EXPECT_EQ(relay.stats().grants_refused, std::size(wrong));
}

TEST(ARelay, ForgetsAKeyWhenItsGrantHasRunOut) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    a->send(key_of(0xb2), "once");
    EXPECT_EQ(b->packet(), "161:once");
    relay.clock.set_wall(relay.clock.now() + 25h);
    EXPECT_TRUE(a->next(FrameType::Error));
    EXPECT_TRUE(b->next(FrameType::Error));
    EXPECT_EQ(relay.stats().keys, 0u);
}

TEST(ARelay, CutsANodeThatIsBarred) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    const WallTime until = relay.clock.now() + 24h;
    relay.call([&](Server& server) {
        std::vector<TenantTrust> tenants;
        tenants.push_back(relay.first.trust({{node_uuid(1), "", until}}));
        server.set_tenants(std::move(tenants));
    });
    const auto error = a->next(FrameType::Error);
    ASSERT_TRUE(error);
    EXPECT_EQ(parse_refusal(error->body)->code, Fault::Barred);
    EXPECT_FALSE(a->next());
    TestClient again(relay.at(), relay.first, relay.first.node(1));
    EXPECT_EQ(again.status(), 403);
    b->ping();
    EXPECT_TRUE(b->next(FrameType::Pong));
}

TEST(ARelay, TakesANodeOutOfTheNetworkThatItLeft) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1, kNetwork1), b = relay.client(2, 0xb2, kNetwork1);
    const auto in_network2 =
        relay.first.sign(relay.first.grant(1, key_of(0xa2), relay.clock.now(), kNetwork2));
    EXPECT_EQ(a->show(in_network2), FrameType::Granted);
    relay.call([&](Server& server) {
        std::vector<TenantTrust> tenants;
        tenants.push_back(relay.first.trust({{node_uuid(1), kNetwork1, relay.clock.now() + 24h}}));
        server.set_tenants(std::move(tenants));
    });
    b->send(key_of(0xa1), "are you there?");
    EXPECT_TRUE(b->next(FrameType::PeerGone));
    const auto in_network1 =
        relay.first.sign(relay.first.grant(1, key_of(0xa1), relay.clock.now(), kNetwork1));
    EXPECT_EQ(a->show(in_network1), FrameType::Error);
    EXPECT_EQ(a->show(in_network2), FrameType::Granted);
}

TEST(ARelay, EndsTheSessionsOfATenantThatItServesNoMore) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1);
    relay.call([](Server& server) { server.set_tenants({}); });
    EXPECT_TRUE(a->next(FrameType::Error));
    EXPECT_FALSE(a->next());
    EXPECT_EQ(relay.stats().sessions, 0u);
    TestClient again(relay.at(), relay.first, relay.first.node(1));
    EXPECT_EQ(again.status(), 403);
}

TEST(ARelay, TellsWhoeverSentToAKeyOfItsEnd) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1);
    auto b = relay.client(2, 0xb2);
    a->send(key_of(0xb2), "hello");
    EXPECT_EQ(b->packet(), "161:hello");
    b.reset();
    const auto gone = a->next(FrameType::PeerGone);
    ASSERT_TRUE(gone);
    EXPECT_EQ(parse_peer_gone(gone->body)->peer, key_of(0xb2));
    EXPECT_EQ(parse_peer_gone(gone->body)->reason, Gone::Ended);
}

TEST(ARelay, SaysOnceASecondThatAKeyIsNotHere) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1);
    relay.clock.advance(10s);
    for (int i = 0; i < 5; ++i) a->send(key_of(0xcc), "anybody?");
    a->ping();
    EXPECT_EQ(a->next()->type, FrameType::PeerGone);
    EXPECT_EQ(a->next()->type, FrameType::Pong);
    relay.clock.advance(1s);
    a->send(key_of(0xcc), "anybody now?");
    EXPECT_EQ(a->next()->type, FrameType::PeerGone);
}

TEST(ARelay, GivesAKeyToTheSessionThatShowedItLast) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1);
    const auto dead = relay.client(2, 0xb2);
    const auto alive = relay.client(2, 0xb2);
    a->send(key_of(0xb2), "where are you?");
    EXPECT_EQ(alive->packet(), "161:where are you?");
    // The end of the old connection takes nothing from the new one.
    SSL_shutdown(dead->ssl());
    EXPECT_FALSE(dead->next(FrameType::Recv));
    a->send(key_of(0xb2), "still there?");
    EXPECT_EQ(alive->packet(), "161:still there?");
}

TEST(ARelay, EndsASessionThatSendsNonsense) {
    TestRelay relay;
    for (const Bytes& nonsense : {Bytes{0x04, 0xff, 0xff, 0xff, 0xff}, Bytes{0x04, 0, 0, 0, 1, 1},
                                  Bytes{0x06, 0, 0, 0, 0}, Bytes{0x09, 0, 0, 0, 0}}) {
        TestClient client(relay.at(), relay.first, relay.first.node(1));
        client.write(nonsense);
        const auto error = client.next(FrameType::Error);
        ASSERT_TRUE(error);
        EXPECT_EQ(parse_refusal(error->body)->code, Fault::Malformed);
        EXPECT_FALSE(client.next());
    }
}

TEST(ARelay, CutsAClientThatSaysNothing) {
    TestRelay relay;
    TestClient client(relay.at(), relay.first, relay.first.node(1));
    EXPECT_TRUE(client.next(FrameType::Hello));
    relay.clock.advance(91s);
    EXPECT_TRUE(client.next(FrameType::Error));
    EXPECT_FALSE(client.next());
}

TEST(ARelay, RefusesPairsWhereItHasNoUdp) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1);
    Bytes ask;
    put_pair(ask, {key_of(0xa1), key_of(0xb2)});
    a->write(ask);
    const auto error = a->next(FrameType::Error);
    ASSERT_TRUE(error);
    EXPECT_EQ(parse_refusal(error->body)->code, Fault::PairRefused);
}

TEST(ARelay, SaysThatItIsLeaving) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1);
    relay.call([](Server& server) { server.drain([] {}); });
    const auto error = a->next(FrameType::Error);
    ASSERT_TRUE(error);
    EXPECT_EQ(parse_refusal(error->body)->code, Fault::Leaving);
    EXPECT_FALSE(a->next());
}

TEST(ARelay, GoesOnAfterAClientHasChangedItsKeys) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(SSL_key_update(a->ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
        a->send(key_of(0xb2), "new keys");
        EXPECT_EQ(b->packet(), "161:new keys");
        b->send(key_of(0xa1), "yours too");
        EXPECT_EQ(a->packet(), "178:yours too");
    }
}

// Whoever has a certificate of a tenant can show as many bad grants as the wire takes.
TEST(ARelay, LogsRefusedGrantsOnceAMinute) {
    TestRelay relay;
    TestClient client(relay.at(), relay.first, relay.first.node(1));
    testing::internal::CaptureStderr();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(client.show("{}"), FrameType::Error);
    relay.clock.advance(std::chrono::seconds(61));
    EXPECT_EQ(client.show("{}"), FrameType::Error);
    const std::string told = testing::internal::GetCapturedStderr();
    const auto at = told.find("event=relay.grant_refused");
    const auto again = told.find("event=relay.grant_refused", at + 1);
    ASSERT_NE(again, std::string::npos) << told;
    EXPECT_EQ(told.find("event=relay.grant_refused", again + 1), std::string::npos) << told;
    EXPECT_NE(told.find("left_out=19", again), std::string::npos) << told;
}

}  // namespace
}  // namespace cvlan::relay::test
