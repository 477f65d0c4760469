// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/relay_links.h"

#include <future>
#include <thread>

#include "base/file.h"
#include "relay/server.h"
#include "stun/builder.h"
#include "tests/daemons/agent/relay_links_fixture.h"
#include "tests/relay/relay_fixture.h"
#include "tests/support/temp_dir.h"

namespace cvlan::agent {
namespace {

using namespace std::chrono_literals;
using testing::DeviceSocket;
using testing::key_of;
using testing::kRelay1;
using testing::kRelay2;
using testing::map_relay;
using testing::NodeWorld;
using testing::TestTenant;

// Offers a pair to whoever asks, and is ready when it is told so.
class Desk final : public relay::PairDesk {
public:
    explicit Desk(relay::Server& server) : server_(server) {}
    void pair(const Asker& asker, const relay::PairOf& pair) override {
        asked.emplace_back(asker.session, pair);
        Bytes out;
        relay::Offer offer{pair, {}, {}, 50000, {*Address::parse("192.0.2.9")}};
        offer.bind_id.fill(pair.own.bytes()[0]);
        offer.secret.writable()[0] = pair.own.bytes()[0];
        relay::put_offer(out, offer);
        server_.tell(asker.session, out);
    }
    void unpair(const Asker&, const relay::PairOf&) override { ++unpaired; }
    void granted(const Asker&, const relay::Key&) override {}
    void trust_changed(std::string_view, const relay::TenantTrust*) override {}
    void say_ready() {
        for (const auto& [session, pair] : asked) {
            Bytes out;
            relay::put_ready(out, {pair, *Endpoint::parse("192.0.2.9:50000")});
            server_.tell(session, out);
        }
    }
    void refuse(size_t times) {
        Bytes out;
        for (size_t i = 0; i < times; ++i)
            relay::put_refusal(out, {relay::Fault::GrantRefused, "no"});
        server_.tell(asked.at(0).first, out);
    }
    void end(relay::Unpaired reason) {
        for (const auto& [session, pair] : asked) {
            Bytes out;
            relay::put_unpair(out, {pair, reason});
            server_.tell(session, out);
        }
    }
    std::vector<std::pair<uint64_t, relay::PairOf>> asked;
    int unpaired = 0;

private:
    relay::Server& server_;
};

// A relay of the tenant, on the same loop as the nodes.
class Relay {
public:
    Relay(EventLoop& loop, const Clock& clock, const TestTenant& tenant,
          const Endpoint& at = *Endpoint::parse("127.0.0.1:0"), long valid_for = 3600) {
        relay::ServerOptions options;
        options.at = at;
        options.tls.emplace(tenant.server_name, tenant.tls(valid_for));
        options.tenants.push_back(tenant.trust());
        auto made = relay::Server::listen(loop, clock, std::move(options));
        EXPECT_TRUE(made) << made.error().message;
        server = std::move(*made);
        desk.emplace(*server);
        server->set_pair_desk(&*desk);
    }
    Endpoint at() const { return server->endpoint(); }
    std::unique_ptr<relay::Server> server;
    std::optional<Desk> desk;
};

class RelayLinksTest : public ::testing::Test {
protected:
    // Turns of the loop until `is_so`; false after ten seconds.
    template <class Condition>
    bool until(Condition is_so) {
        const auto end = std::chrono::steady_clock::now() + 10s;
        bool is_it = false;
        while (!(is_it = is_so()) && std::chrono::steady_clock::now() < end) loop.run_once(20ms);
        return is_it;
    }
    void advance(std::chrono::milliseconds by) {
        clock.advance(by);
        for (NodeWorld* node : {&a, &b}) node->links->step();
    }
    void use_one_relay() {
        const auto one = map_relay(kRelay1, "r1", first.at());
        a.set_map({one}, kRelay1);
        b.set_map({one}, kRelay1);
    }
    bool both_by_tls() {
        a.need(false);
        b.need(false);
        return until([&] { return a.places.tls && b.places.tls; });
    }
    // What B's device got, sent by A's.
    std::string through(std::string_view text) {
        a_device.send(*a.places.tls, text);
        std::string got;
        until([&] { return !(got = b_device.receive()).empty(); });
        return got;
    }
    // `bad` is the nearer one, and of no use: another becomes home (F78).
    void expect_that_home_is_not(const Relay& bad) {
        const auto near = map_relay(kRelay2, "r2", bad.at());
        auto far = map_relay(kRelay1, "r1", first.at());
        far.stun_port = 9;
        a.round_trips = {{{near.endpoints[0].address, near.stun_port}, 5ms},
                         {{far.endpoints[0].address, far.stun_port}, 50ms}};
        a.links->measured();
        a.set_map({near, far}, kRelay2);
        a.need(false);
        ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id) == kRelay2; }));
        EXPECT_TRUE(until([&] {
            advance(100ms);
            return a.links->home_relay(tenant.id) == kRelay1 && a.places.tls;
        }));
        advance(70s);
        EXPECT_EQ(a.links->home_relay(tenant.id), kRelay1)
            << "it still answers STUN, and is nearer";
    }
    size_t sessions(const Relay& relay) { return relay.server->stats().sessions; }

    EventLoop loop;
    ManualClock clock{*from_rfc3339("2026-11-20T12:00:00.000Z")};
    const TestTenant tenant{1};
    Relay first{loop, clock, tenant};
    Relay second{loop, clock, tenant};
    const DeviceSocket a_device, b_device;
    NodeWorld a{loop, clock, tenant, 1, 2, a_device.port()};
    NodeWorld b{loop, clock, tenant, 2, 1, b_device.port()};
};

TEST_F(RelayLinksTest, ThereIsASessionWithTheHomeWhileThereIsAPeer) {
    const auto one = map_relay(kRelay1, "r1", first.at());
    a.set_map({one}, "", false);
    ASSERT_TRUE(until([&] { return a.changes > 0; }));
    EXPECT_EQ(a.links->home_relay(tenant.id), std::nullopt);
    EXPECT_TRUE(a.calls.empty());
    a.set_map({one}, "");
    ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    EXPECT_EQ(a.links->home_relay(tenant.id), kRelay1);
    EXPECT_EQ(sessions(first), 1u);
    EXPECT_EQ(a.calls, std::vector<std::string>{"POST /api/v1/node/relay-grants"});
    a.set_map({one}, "", false);
    advance(61s);
    EXPECT_TRUE(until([&] { return sessions(first) == 0; }));
}

TEST_F(RelayLinksTest, AHomeThatAnswersIsToldAtOnceAndVisitedWhenThereIsAPeer) {
    const auto one = map_relay(kRelay1, "r1", first.at());
    auto far = map_relay(kRelay2, "r2", second.at());
    far.stun_port = 1002;
    a.set_map({one, far}, "", false);
    a.round_trips = {{{one.endpoints[0].address, one.stun_port}, 20ms},
                     {{far.endpoints[0].address, far.stun_port}, 200ms}};
    a.links->measured();
    EXPECT_EQ(a.links->home_relay(tenant.id), kRelay1);
    ASSERT_TRUE(until([&] { return a.changes > 0; }));
    advance(1s);
    EXPECT_TRUE(a.calls.empty());
    a.set_map({one, far}, "");
    EXPECT_TRUE(until([&] { return sessions(first) == 1; }));
}

TEST_F(RelayLinksTest, PacketsOfTwoDevicesTravelByTheRelay) {
    use_one_relay();
    ASSERT_TRUE(both_by_tls());
    EXPECT_EQ(through("hello"), b.places.tls->text() + " hello");
    b_device.send(*b.places.tls, "and back");
    std::string got;
    ASSERT_TRUE(until([&] { return !(got = a_device.receive()).empty(); }));
    EXPECT_EQ(got, a.places.tls->text() + " and back");
    EXPECT_EQ(a.links->name_of(a.peer(), *a.places.tls)->name, "r1");
}

TEST_F(RelayLinksTest, APeerThatIsNotNeededHereCanBegin) {
    use_one_relay();
    a.need(false);
    ASSERT_TRUE(until([&] { return a.places.tls && b.links->home_relay(tenant.id); }));
    EXPECT_FALSE(b.places.tls);
    EXPECT_TRUE(through("knock").ends_with(" knock"));
    EXPECT_TRUE(until([&] { return b.places.tls.has_value(); }));
}

TEST_F(RelayLinksTest, NodesOfDifferentHomesMeetAtTheReceivers) {
    const std::vector relays{map_relay(kRelay1, "r1", first.at()),
                             map_relay(kRelay2, "r2", second.at())};
    const auto near = [](const model::MapRelay& relay) {
        return Endpoint{relay.endpoints[0].address, relay.stun_port};
    };
    std::vector apart = relays;
    apart[0].stun_port = 1001;
    apart[1].stun_port = 1002;
    a.round_trips = {{near(apart[0]), 5ms}, {near(apart[1]), 50ms}};
    b.round_trips = {{near(apart[0]), 50ms}, {near(apart[1]), 5ms}};
    for (NodeWorld* node : {&a, &b}) node->links->measured();
    a.set_map(apart, kRelay2);
    b.set_map(apart, kRelay1);
    ASSERT_TRUE(both_by_tls());
    EXPECT_EQ(a.links->home_relay(tenant.id), kRelay1);
    EXPECT_EQ(b.links->home_relay(tenant.id), kRelay2);
    EXPECT_TRUE(through("to the second").ends_with(" to the second"));
    EXPECT_EQ(second.server->stats().packets, 1u);
    EXPECT_EQ(first.server->stats().packets, 0u);
    EXPECT_EQ(a.links->relays().front().id, kRelay1);
    EXPECT_EQ(a.links->stun_servers(), (std::vector{near(apart[0]), near(apart[1])}));
}

TEST_F(RelayLinksTest, ARelayThatIsGoneIsFollowedByTheNext) {
    const std::vector relays{map_relay(kRelay1, "r1", first.at()),
                             map_relay(kRelay2, "r2", second.at())};
    a.links->measured();
    a.set_map(relays, "");
    ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    const std::string before = *a.links->home_relay(tenant.id);
    (before == kRelay1 ? first : second).server.reset();
    EXPECT_TRUE(until([&] {
        advance(100ms);
        return a.links->home_relay(tenant.id) != before;
    }));
}

// Its machine takes all that is sent, and nothing comes of it (F78).
TEST_F(RelayLinksTest, AHomeThatFellSilentIsLeftAndHasNothingToCarry) {
    relay::test::TestRelay stuck({&tenant});
    const auto home = map_relay(kRelay1, "r1", stuck.at());
    a.round_trips[{home.endpoints[0].address, home.stun_port}] = 5ms;
    auto other = map_relay(kRelay2, "r2", second.at());
    other.stun_port = 9;
    a.links->measured();
    a.set_map({home, other}, kRelay1);
    a.need(false);
    ASSERT_TRUE(until([&] { return a.places.tls.has_value(); }));
    ASSERT_EQ(a.links->home_relay(tenant.id), kRelay1);
    std::promise<void> released;
    std::thread block([&] { stuck.call([&](relay::Server&) { released.get_future().wait(); }); });
    const Endpoint by_tls = *a.places.tls;
    EXPECT_TRUE(until([&] {
        a_device.send(by_tls, "anybody?");
        return !a.places.tls;
    }));
    EXPECT_TRUE(until([&] {
        advance(100ms);
        return a.links->home_relay(tenant.id) == kRelay2;
    }));
    EXPECT_TRUE(until([&] { return a.places.tls.has_value(); })) << "by the other one";
    released.set_value();
    block.join();
}

TEST_F(RelayLinksTest, ARelayWhoseCertificateHasRunOutIsLeft) {
    const Relay expired(loop, clock, tenant, *Endpoint::parse("127.0.0.1:0"), -60);
    expect_that_home_is_not(expired);
}

TEST_F(RelayLinksTest, ARelayWhoseClockIsWrongAndThatBelievesNoGrantIsLeft) {
    const ManualClock late(clock.now() - 1h);
    const Relay slow(loop, late, tenant);
    expect_that_home_is_not(slow);
}

TEST_F(RelayLinksTest, WithNoRelayLeftTheHomeStaysAndTheFirstThatIsBackIsTaken) {
    const std::vector relays{map_relay(kRelay1, "r1", first.at()),
                             map_relay(kRelay2, "r2", second.at())};
    const auto home = [&] {
        for (const RelayView& one : a.links->relays())
            if (one.is_home) return one.id;
        return std::string();
    };
    a.links->measured();
    a.set_map(relays, "");
    ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    const std::string before = home();
    Relay& left = before == kRelay1 ? first : second;
    Relay& other = before == kRelay1 ? second : first;
    const Endpoint at = left.at();
    left.server.reset();
    ASSERT_TRUE(until([&] { return advance(100ms), home() != before && sessions(other) == 1; }));
    other.server.reset();
    const std::string second_home = home();
    for (int i = 0; i < 600; ++i) {
        advance(500ms);
        loop.run_once(0ms);
        ASSERT_EQ(home(), second_home) << i;
    }
    const Relay back(loop, clock, tenant, at);
    EXPECT_TRUE(until([&] { return advance(100ms), home() == before; }));
}

TEST_F(RelayLinksTest, ARelayThatIsDownIsAskedByStunEveryFiveSecondsAndOneThatIsUpIsNot) {
    use_one_relay();
    ASSERT_TRUE(both_by_tls());
    for (int i = 0; i < 60; ++i) advance(500ms);
    EXPECT_TRUE(a.probed.empty());
    const Endpoint at = first.at();
    first.server.reset();
    ASSERT_TRUE(until([&] { return advance(10ms), !a.places.tls; }));
    for (int i = 0; i < 60; ++i) advance(500ms);
    EXPECT_GE(a.probed.size(), 5u);
    EXPECT_LE(a.probed.size(), 8u);
    EXPECT_EQ(a.probed[0], (Endpoint{at.address, 3478}));
}

TEST_F(RelayLinksTest, WhereUdpIsBlockedOtherRelaysAreMeasuredByTlsForAMinute) {
    const std::vector relays{map_relay(kRelay1, "r1", first.at()),
                             map_relay(kRelay2, "r2", second.at())};
    a.links->measured();
    a.set_map(relays, "");
    ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    EXPECT_EQ(sessions(first) + sessions(second), 1u);
    advance(3s);
    ASSERT_TRUE(until([&] { return sessions(first) + sessions(second) == 2; }));
    EXPECT_TRUE(until([&] { return a.links->relays()[0].tls && a.links->relays()[1].tls; }));
    advance(80s);
    advance(80s);
    EXPECT_TRUE(until([&] { return sessions(first) + sessions(second) == 1; }));
}

TEST_F(RelayLinksTest, WherePeersHomeIsNotReachedOursCarries) {
    const auto one = map_relay(kRelay1, "r1", first.at());
    const auto dead = map_relay(kRelay2, "r2", *Endpoint::parse("127.0.0.1:1"));
    a.round_trips[{one.endpoints[0].address, 3478}] = 5ms;
    for (NodeWorld* node : {&a, &b}) node->links->measured();
    auto far = dead;
    far.stun_port = 9;
    a.set_map({one, far}, kRelay2);
    b.set_map({one}, kRelay1);
    ASSERT_TRUE(both_by_tls());
    EXPECT_TRUE(through("all the same").ends_with(" all the same"));
}

TEST_F(RelayLinksTest, APairIsBoundFromTheDevicesPortUntilItIsReady) {
    use_one_relay();
    a.need(true);
    ASSERT_TRUE(until([&] { return !a.binds.empty(); }));
    const auto& [to, datagram] = a.binds.front();
    EXPECT_EQ(to.text(), "192.0.2.9:50000");
    const auto request = stun::Message::parse(datagram);
    ASSERT_TRUE(request);
    EXPECT_TRUE(request->is(stun::Class::Request, stun::Method::Bind));
    EXPECT_EQ(request->username(), "01010101010101010101010101010101");
    Secret<32> secret;
    secret.writable()[0] = 1;
    EXPECT_TRUE(request->is_authentic(secret.bytes()));

    advance(1s);
    EXPECT_EQ(a.binds.size(), 2u);
    EXPECT_FALSE(a.places.udp);
    first.desk->say_ready();
    ASSERT_TRUE(until([&] { return a.places.udp.has_value(); }));
    EXPECT_EQ(a.places.udp->text(), "192.0.2.9:50000");
    EXPECT_EQ(a.links->name_of(a.peer(), *a.places.udp)->id, kRelay1);
    advance(59s);
    EXPECT_EQ(a.binds.size(), 2u);
    advance(2s);
    EXPECT_EQ(a.binds.size(), 3u);
}

TEST_F(RelayLinksTest, APairIsGivenUpSomeTimeAfterItIsNeededNoMore) {
    use_one_relay();
    a.need(true);
    ASSERT_TRUE(until([&] { return !a.binds.empty(); }));
    first.desk->say_ready();
    ASSERT_TRUE(until([&] { return a.places.udp.has_value(); }));
    a.links->set_needs({});
    advance(20s);
    EXPECT_TRUE(a.places.udp);
    advance(20s);
    EXPECT_FALSE(a.places.udp);
    EXPECT_TRUE(until([&] { return first.desk->unpaired == 1; }));
}

TEST_F(RelayLinksTest, APairThatTheRelayEndedIsAskedForAgainLater) {
    use_one_relay();
    a.need(true);
    ASSERT_TRUE(until([&] { return !a.binds.empty(); }));
    first.desk->say_ready();
    ASSERT_TRUE(until([&] { return a.places.udp.has_value(); }));
    first.desk->end(relay::Unpaired::Peer);
    ASSERT_TRUE(until([&] { return !a.places.udp; }));
    EXPECT_EQ(first.desk->asked.size(), 1u);
    advance(6s);
    EXPECT_TRUE(until([&] { return first.desk->asked.size() == 2; }));
}

TEST_F(RelayLinksTest, APairsRelayIsTheHomeOfTheLowerNode) {
    const std::vector relays{map_relay(kRelay1, "r1", first.at()),
                             map_relay(kRelay2, "r2", second.at())};
    for (NodeWorld* node : {&a, &b}) node->links->measured();
    a.set_map(relays, "");
    ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    const std::string home = *a.links->home_relay(tenant.id);
    b.set_map(relays, home);
    b.need(true);
    Relay& of_a = home == kRelay1 ? first : second;
    EXPECT_TRUE(until([&] { return of_a.desk->asked.size() == 1; }));
}

TEST_F(RelayLinksTest, APeerThatLeavesTheMapIsForgotten) {
    const auto one = map_relay(kRelay1, "r1", first.at());
    use_one_relay();
    ASSERT_TRUE(both_by_tls());
    const Endpoint place = *b.places.tls;
    b.set_map({one}, "", false);
    b_device.send(place, "to nobody");
    a_device.send(*a.places.tls, "of nobody");
    ASSERT_TRUE(until([&] { return first.server->stats().packets == 1; }));
    advance(1s);
    for (int i = 0; i < 4; ++i) loop.run_once(5ms);
    EXPECT_EQ(b_device.receive(), "");
    EXPECT_EQ(a_device.receive(), "");
}

TEST_F(RelayLinksTest, WithoutAControllerGrantsAreAskedForAgain) {
    a.has_session = false;
    use_one_relay();
    ASSERT_TRUE(until([&] { return sessions(first) == 2; }));
    EXPECT_EQ(a.links->home_relay(tenant.id), std::nullopt);
    a.has_session = true;
    EXPECT_TRUE(until([&] {
        advance(100ms);
        return a.links->home_relay(tenant.id).has_value();
    }));
}

TEST_F(RelayLinksTest, GrantsThatWereAskedForOfASessionThatEndedAreAskedForAnew) {
    a.loses_calls = true;
    use_one_relay();
    ASSERT_TRUE(until([&] { return a.calls.size() == 1; }));
    a.loses_calls = false;
    a.links->network_changed();
    EXPECT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    EXPECT_EQ(a.calls.size(), 2u);
}

TEST_F(RelayLinksTest, GrantsAreRenewedAtHalfOfTheirLife) {
    use_one_relay();
    ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    advance(11h);
    EXPECT_EQ(a.calls.size(), 1u);
    advance(1h);
    EXPECT_EQ(a.calls.size(), 2u);
    EXPECT_TRUE(until([&] { return first.server->stats().grants >= 3; }));
}

TEST_F(RelayLinksTest, WhatARelayRefusesIsLoggedOnceAMinute) {
    use_one_relay();
    a.need(true);
    ASSERT_TRUE(until([&] { return first.desk->asked.size() == 1; }));
    ::testing::internal::CaptureStderr();
    const auto refuse = [&](size_t times) {
        const size_t asked = first.desk->asked.size();
        first.desk->refuse(times);
        // Read behind the refusals: the pair is asked for again.
        first.desk->end(relay::Unpaired::Peer);
        return until([&] {
            advance(500ms);
            return first.desk->asked.size() > asked;
        });
    };
    EXPECT_TRUE(refuse(20));
    advance(61s);
    EXPECT_TRUE(refuse(1));
    const std::string told = ::testing::internal::GetCapturedStderr();
    const auto at = told.find("event=agent.relay_refused");
    const auto again = told.find("event=agent.relay_refused", at + 1);
    ASSERT_NE(again, std::string::npos) << told;
    EXPECT_EQ(told.find("event=agent.relay_refused", again + 1), std::string::npos) << told;
    EXPECT_NE(told.find("left_out=19", again), std::string::npos) << told;
}

// A node that was granted something starts anew, and its controller is away.
TEST_F(RelayLinksTest, AStartWithoutAControllerUsesTheGrantsOfTheDisk) {
    const cvlan::test::TempDir kept;
    a.folder = kept.path();
    use_one_relay();
    ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    NodeWorld again(loop, clock, tenant, a.own, a.other, a.port);
    again.folder = kept.path();
    again.has_session = false;
    const uint64_t before = first.server->stats().grants;
    again.set_map({map_relay(kRelay1, "r1", first.at())}, kRelay1);
    EXPECT_TRUE(until([&] { return again.links->home_relay(tenant.id).has_value(); }));
    EXPECT_GT(first.server->stats().grants, before);
    EXPECT_TRUE(again.calls.empty());
}

TEST_F(RelayLinksTest, GrantsThatCanNotBeKeptAreUsedAllTheSame) {
    a.folder = "/proc/nowhere";
    ::testing::internal::CaptureStderr();
    use_one_relay();
    EXPECT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    EXPECT_NE(::testing::internal::GetCapturedStderr().find("event=agent.state_not_saved"),
              std::string::npos);
}

TEST_F(RelayLinksTest, DamagedGrantsAreAskedForAnew) {
    const cvlan::test::TempDir kept;
    a.folder = kept.path();
    const std::string path = kept.file("relay_grants.json");
    for (const std::string_view content : {"", "rubbish", "{}"}) {
        ASSERT_TRUE(write_durable(path, content, 0600));
        Grants grants({clock, [](const auto&, const auto&) { return false; }, [] {}, 1, path});
        EXPECT_TRUE(grants.json().empty()) << content;
        EXPECT_EQ(grants.due(), BootTime(0));
    }
    ASSERT_TRUE(save_state(path, 1, R"({"memberships":"x","grants":["rubbish"]})"));
    use_one_relay();
    EXPECT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    const Grants good({clock, [](const auto&, const auto&) { return false; }, [] {}, 1, path});
    EXPECT_EQ(good.json().size(), 1u);
}

TEST_F(RelayLinksTest, GrantsOfTheDiskThatAreOverAreNotShown) {
    const cvlan::test::TempDir kept;
    a.folder = kept.path();
    use_one_relay();
    ASSERT_TRUE(until([&] { return a.links->home_relay(tenant.id).has_value(); }));
    ManualClock later(clock.now() + 25h);
    Grants grants({later, [](const auto&, const auto&) { return false; }, [] {}, 1,
                   kept.file("relay_grants.json")});
    EXPECT_TRUE(grants.json().empty());
    ManualClock sooner(clock.now() + 23h);
    Grants good({sooner, [](const auto&, const auto&) { return false; }, [] {}, 1,
                 kept.file("relay_grants.json")});
    EXPECT_EQ(good.json().size(), 1u);
    sooner.advance(1h);
    good.step("other");
    EXPECT_TRUE(good.json().empty());
}

}  // namespace
}  // namespace cvlan::agent
