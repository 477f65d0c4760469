// SPDX-License-Identifier: Apache-2.0
#include "reach/paths.h"

#include <gtest/gtest.h>

#include "tests/reach/nat_world.h"

namespace cvlan::reach {
namespace {

using namespace testing;
using std::chrono::seconds;

World::Setup between(Nat one, Nat other) {
    World::Setup setup;
    setup.nat[0] = one;
    setup.nat[1] = other;
    return setup;
}

bool are_on(World& world, Way way) { return world.way(0) == way && world.way(1) == way; }

TEST(Paths, TwoInPublicTalkWithoutARelay) {
    World::Setup setup = between(Nat::None, Nat::None);
    setup.has_relay = false;
    World world(setup);
    EXPECT_TRUE(world.run_until(seconds(1), [&] { return are_on(world, Way::PublicV4); }));
}

TEST(Paths, TwoBehindRestrictedNatsOpenThemForEachOther) {
    World world(between(Nat::Restricted, Nat::Restricted));
    EXPECT_TRUE(world.run_until(seconds(1), [&] { return are_on(world, Way::PublicV4); }));
}

TEST(Paths, TheRelayByTlsIsThereFirstAndTheRelayByUdpThen) {
    World world(between(Nat::Symmetric, Nat::Symmetric));
    EXPECT_TRUE(world.run_until(milliseconds(300), [&] { return are_on(world, Way::RelayTls); }));
    EXPECT_TRUE(world.run_until(seconds(3), [&] { return are_on(world, Way::RelayUdp); }));
    world.run(seconds(300));
    EXPECT_TRUE(are_on(world, Way::RelayUdp));
}

TEST(Paths, WhatCarriesNoPacketsIsOnlySpokenThrough) {
    World::Setup setup = between(Nat::Symmetric, Nat::Symmetric);
    setup.tls_carries = false;
    World relayed(setup);
    const auto is_by_tls = [](World& world) {
        return world.way(0) == Way::RelayTls || world.way(1) == Way::RelayTls;
    };
    EXPECT_TRUE(relayed.run_until(seconds(3), [&] {
        EXPECT_FALSE(is_by_tls(relayed));
        return are_on(relayed, Way::RelayUdp);
    }));
    setup = between(Nat::Restricted, Nat::Restricted);
    setup.tls_carries = false;
    World direct(setup);
    direct.run(seconds(60));
    ASSERT_TRUE(are_on(direct, Way::PublicV4));
    direct.cut_direct(true);
    EXPECT_TRUE(direct.run_until(seconds(3), [&] {
        EXPECT_FALSE(is_by_tls(direct));
        return are_on(direct, Way::RelayUdp);
    }));
}

TEST(Paths, AMappingThatIsForgottenIsFoundAgainInThreeSeconds) {
    for (const Nat other : {Nat::None, Nat::Cone, Nat::Restricted}) {
        World world(between(Nat::Restricted, other));
        world.run(seconds(60));
        ASSERT_TRUE(are_on(world, Way::PublicV4));
        world.rebind(0);
        const uint64_t before[2] = {world.received(0), world.received(1)};
        EXPECT_TRUE(world.run_until(seconds(3), [&] {
            return world.received(0) > before[0] + 512 && world.received(1) > before[1] + 512;
        })) << int(other);
        // STUN tells the new mapping, the map the other side.
        world.tell_of(0);
        EXPECT_TRUE(world.run_until(seconds(40), [&] { return are_on(world, Way::PublicV4); }));
    }
}

// Nothing comes by the old place, which is certain after 1.5 s; the new one answers before.
TEST(Paths, ANewMappingThatAnswersIsTakenBeforeTheOldOneIsGivenUp) {
    for (int tenth = 0; tenth < 10; ++tenth) {  // of a second: it is checked once in one
        World world(between(Nat::Restricted, Nat::Restricted));
        world.run(seconds(60) + milliseconds(100 * tenth));
        ASSERT_TRUE(are_on(world, Way::PublicV4));
        const auto old = world.kernel(1);
        world.talk(false);  // or WireGuard would move by itself
        world.rebind(0);
        world.run(milliseconds(300));
        world.tell_of(0);
        EXPECT_TRUE(world.run_until(milliseconds(1'700), [&] { return world.kernel(1) != old; }))
            << tenth;
        EXPECT_EQ(world.way(1), Way::PublicV4) << tenth;
    }
}

TEST(Paths, AnotherNetworkIsTriedAtOnce) {
    World world(between(Nat::Cone, Nat::None));
    world.run(seconds(60));
    world.move(0);
    const uint64_t before = world.received(0);
    EXPECT_TRUE(world.run_until(seconds(3), [&] {
        return world.received(0) > before + 512 && are_on(world, Way::PublicV4);
    }));
}

// F71: a minute, an hour, 8 h, 8 days; directly, and where only a relay carries.
TEST(Paths, AfterASleepOfAnyLengthItIsThereInThreeSeconds) {
    for (const Nat nat : {Nat::Restricted, Nat::Symmetric})
        for (const auto slept :
             {seconds(60), seconds(3600), seconds(8 * 3600), seconds(8 * 86400)}) {
            World world(between(nat, nat));
            world.run(seconds(60));
            world.rebind(0);
            world.sleep(slept);
            const uint64_t before[2] = {world.received(0), world.received(1)};
            EXPECT_TRUE(world.run_until(seconds(3), [&] {
                return world.received(0) > before[0] + 512 && world.received(1) > before[1] + 512;
            })) << slept.count();
        }
}

TEST(Paths, WhatAnAgentFindsInTheKernelIsInDoubtUntilSomethingHasComeByIt) {
    World world(between(Nat::None, Nat::None));
    world.run(seconds(60));
    ASSERT_TRUE(are_on(world, Way::PublicV4));
    world.talk(false);
    world.run(seconds(1));
    world.cut_direct(true);
    world.restart(0);
    // Nobody talks, the session still stands, and yet both know.
    EXPECT_TRUE(world.run_until(seconds(6), [&] { return world.way(0) != Way::PublicV4; }));
    EXPECT_TRUE(world.run_until(seconds(6), [&] { return world.way(1) != Way::PublicV4; }));
}

TEST(Paths, AnAgentThatBeginsAnewLeavesAGoodPathAlone) {
    World world(between(Nat::Restricted, Nat::Restricted));
    world.run(seconds(60));
    const int writes = world.writes(0) + world.writes(1);
    world.restart(0);
    world.run(seconds(60));
    EXPECT_EQ(world.writes(0) + world.writes(1), writes);
    EXPECT_TRUE(are_on(world, Way::PublicV4));
}

TEST(Paths, WhoeverBeginsToTalkAsHisRelaysGoKnowsThatNothingCarriesHim) {
    World world(between(Nat::Symmetric, Nat::Symmetric));
    world.run(seconds(60));
    ASSERT_TRUE(are_on(world, Way::RelayUdp));
    world.talk(false);
    world.run(seconds(300));
    ASSERT_EQ(world.paths(0).watched() + world.paths(1).watched(), 0u);
    ASSERT_TRUE(are_on(world, Way::RelayUdp));
    world.lose_relays();
    world.talk(true);
    EXPECT_TRUE(world.run_until(seconds(15), [&] { return !world.way(0) && !world.way(1); }));
    for (int i = 0; i < 60; ++i) {
        world.run(seconds(1));
        EXPECT_FALSE(world.way(0) || world.way(1)) << i;
    }
}

TEST(Paths, WhoIsQuietOnLoIsOnNoPathWhereNoRelayIsBehindIt) {
    World::Setup setup = between(Nat::Symmetric, Nat::Symmetric);
    setup.udp_relay.is_cut = true;
    World world(setup);
    world.run(seconds(60));
    ASSERT_TRUE(are_on(world, Way::RelayTls));
    world.talk(false);
    world.run(seconds(300));
    ASSERT_EQ(world.paths(0).watched(), 0u);
    world.lose_relays();
    EXPECT_FALSE(world.view(0).path);
    EXPECT_TRUE(world.view(0).needs_relay);
}

TEST(Paths, ARelaysPlaceThatIsGoneIsNotBelievedForItsSession) {
    World::Setup setup = between(Nat::Symmetric, Nat::Symmetric);
    setup.udp_relay.is_cut = true;
    World world(setup);
    world.run(seconds(60));
    world.lose_relays();
    for (int i = 0; i < 30; ++i) {
        world.run(seconds(1));
        EXPECT_FALSE(world.way(0) || world.way(1)) << i;
    }
}

TEST(Paths, WhatIsQuietIsNotProbed) {
    World world(between(Nat::Restricted, Nat::Restricted));
    world.run(seconds(60));
    world.talk(false);
    world.run(seconds(200));
    const int before = world.checks_sent(0) + world.checks_sent(1);
    world.run(seconds(50));
    EXPECT_EQ(world.checks_sent(0) + world.checks_sent(1), before);
    EXPECT_FALSE(world.paths(0).is_awake());
    // And begins again with the first packets.
    world.talk(true);
    world.run(seconds(20));
    EXPECT_TRUE(world.paths(0).is_awake());
    EXPECT_TRUE(are_on(world, Way::PublicV4));
}

TEST(Paths, APathThatStandsCostsACheckASecondWhileItIsBusy) {
    World world(between(Nat::None, Nat::None));
    world.run(seconds(60));
    const int before = world.checks_sent(0);
    world.run(seconds(100));
    EXPECT_LE(world.checks_sent(0) - before, 115);
}

TEST(Paths, AnOlderAgentThatKnowsNoChecksIsLeftToTheKernel) {
    World::Setup setup = between(Nat::None, Nat::None);
    setup.speaks[0] = setup.speaks[1] = false;
    World world(setup);
    world.run(seconds(60));
    EXPECT_EQ(world.writes(0), 0);
    EXPECT_FALSE(world.paths(0).view({"cv-test", wg::PublicKey()}, world.now()).speaks_checks);
    const int before = world.checks_sent(0);
    world.run(seconds(600));
    EXPECT_LE(world.checks_sent(0) - before, 100);  // once in five minutes
}

TEST(Paths, RelaysThatVanishLeaveDirectPathsAlone) {
    World::Setup setup = between(Nat::Restricted, Nat::Cone);
    World world(setup);
    world.run(seconds(60));
    world.setup().tls.is_cut = world.setup().udp_relay.is_cut = true;
    const int writes = world.writes(0) + world.writes(1);
    world.run(seconds(120));
    EXPECT_EQ(world.writes(0) + world.writes(1), writes);
    EXPECT_TRUE(are_on(world, Way::PublicV4));
}

TEST(Paths, ARelayIsAskedForOnlyWhileItIsNeeded) {
    World world(between(Nat::Restricted, Nat::Restricted));
    const auto view = [&] {
        return world.paths(0).view({"cv-test", wg::PublicKey()}, world.now());
    };
    world.run(milliseconds(10));
    EXPECT_TRUE(view().needs_relay);
    world.run(seconds(60));
    EXPECT_FALSE(view().needs_relay);
    EXPECT_FALSE(view().needs_pair);
    world.cut_direct(true);
    world.run(seconds(10));
    EXPECT_TRUE(view().needs_relay);
    EXPECT_TRUE(view().needs_pair);
    world.talk(false);
    world.run(seconds(170));
    EXPECT_TRUE(view().needs_pair) << "its keepalives go by it";
}

// Ten thousand peers of one network, without a world around them.
struct Crowd {
    Paths paths{1};
    BootTime now{100'000};
    std::vector<Paths::Key> keys;

    explicit Crowd(uint32_t count) {
        paths.set_underlay({{}, {*Address::parse("198.51.100.1")}, true, true}, now);
        for (uint32_t i = 0; i < count; ++i) {
            std::array<uint8_t, 32> bytes{};
            std::memcpy(bytes.data(), &i, sizeof i);
            keys.emplace_back("cv-test", wg::PublicKey(bytes));
            const Address address = Address::parse("203.0.0.0")->plus(i);
            paths.set_peer(keys.back(), {{address, 51820}, {address, 51821}}, now);
        }
    }
    // As many checks as leave in `span`, and the most that did in one second.
    std::pair<size_t, size_t> run(milliseconds span) {
        size_t all = 0, most = 0, in_second = 0;
        BootTime second = now;
        for (const BootTime end = now + span; now < end;) {
            const size_t sent = paths.step(now).size();
            all += sent;
            in_second += sent;
            most = std::max(most, in_second);
            now = std::clamp(paths.deadline(), now + milliseconds(1), now + milliseconds(100));
            if (now - second < seconds(1)) continue;
            second = now;
            in_second = 0;
        }
        return {all, most};
    }
    void look(uint32_t from, uint32_t to, uint64_t bytes) {
        Sighting seen;
        seen.endpoint = at("203.0.113.1:51820");
        seen.tx_bytes = seen.rx_bytes = bytes;
        for (uint32_t i = from; i < to; ++i) paths.look(keys[i], seen, true, now);
    }
};

TEST(PathsOfMany, TenThousandPeersAreNotSearchedAtOnceAndNotForLong) {
    Crowd crowd(10'000);
    EXPECT_LE(crowd.paths.watched(), Paths::kMostEager);
    const auto [all, most] = crowd.run(seconds(30));
    EXPECT_LE(most, size_t{Paths::kPerSecond + Paths::kAtOnce});
    EXPECT_LE(all, Paths::kMostEager * 2 * 9);
    EXPECT_EQ(crowd.paths.watched(), 0u);
    EXPECT_EQ(crowd.paths.deadline(), BootTime::max());
}

TEST(PathsOfMany, ThoseThatTalkAreWatchedAndNoMoreThanTheBound) {
    Crowd crowd(10'000);
    crowd.run(seconds(30));
    crowd.look(0, 10'000, 0);
    crowd.look(100, 150, 4000);
    EXPECT_EQ(crowd.paths.watched(), 50u);
    crowd.look(1000, 10'000, 4000);
    EXPECT_LE(crowd.paths.watched(), Paths::kMostWatched);
    const auto [all, most] = crowd.run(seconds(10));
    EXPECT_LE(most, size_t{Paths::kPerSecond + Paths::kAtOnce});
}

TEST(PathsOfMany, OneThatTalksTakesThePlaceOfOneThatIsOnlyLookedFor) {
    Crowd crowd(10'000);
    ASSERT_EQ(crowd.paths.watched(), Paths::kMostEager);
    crowd.look(5000, 5001, 0);
    crowd.look(5000, 5001, 4000);
    EXPECT_EQ(crowd.paths.watched(), Paths::kMostEager + 1);
}

TEST(PathsOfMany, KeepalivesAndHandshakesAreNoTraffic) {
    Crowd crowd(1000);
    crowd.run(seconds(30));
    Sighting seen;
    seen.endpoint = at("203.0.113.1:51820");
    for (int i = 0; i < 10; ++i) {
        seen.tx_bytes += 32 + 148;
        seen.rx_bytes += 32 + 92;
        seen.last_handshake = from_unix_ms(1000 + i);
        crowd.paths.look(crowd.keys[900], seen, true, crowd.now);
    }
    EXPECT_EQ(crowd.paths.watched(), 0u);
    seen.tx_bytes += 128;  // one ping
    seen.rx_bytes += 128;
    crowd.paths.look(crowd.keys[900], seen, true, crowd.now);
    EXPECT_EQ(crowd.paths.watched(), 1u);
}

TEST(PathsOfMany, AnAnswerIsTakenOnceAndFromThePlaceThatWasAsked) {
    Crowd crowd(1);
    const auto checks = crowd.paths.step(crowd.now);
    ASSERT_EQ(checks.size(), 2u);
    const auto& check = checks[0];
    crowd.now += milliseconds(10);
    const auto& [key, probe] = check;
    EXPECT_FALSE(crowd.paths.answered(key, probe.token, at("203.0.113.99:1"), crowd.now));
    EXPECT_FALSE(crowd.paths.answered(key, probe.token + 77, probe.what.to, crowd.now));
    EXPECT_TRUE(crowd.paths.answered(key, probe.token, probe.what.to, crowd.now));
    EXPECT_FALSE(crowd.paths.answered(key, probe.token, probe.what.to, crowd.now));
    crowd.paths.step(crowd.now);
    const auto writes = crowd.paths.to_write(crowd.now);
    ASSERT_EQ(writes.size(), 1u);
    EXPECT_EQ(writes[0].second, probe.what.to);
    EXPECT_EQ(crowd.paths.view(key, crowd.now).round_trip, milliseconds(10));
}

TEST(PathsOfMany, PlacesThatChecksComeFromAreBounded) {
    Crowd crowd(1);
    for (int i = 0; i < 1000; ++i)
        crowd.paths.asked(crowd.keys[0],
                          {*Address::parse("192.0.2.7"), static_cast<uint16_t>(i + 1)}, crowd.now);
    EXPECT_LE(crowd.paths.step(crowd.now).size(), 2 + PeerPath::kMostLearnt);
}

// The relay's kernel goes on for some minutes; who took it for direct would stay until the end.
TEST(PathsOfMany, APairThatIsOursNoMoreIsNoDirectPath) {
    Crowd crowd(1);
    const auto& key = crowd.keys[0];
    crowd.paths.set_relays({*Address::parse("192.0.2.9")});
    const auto way_when_at = [&](const char* place) {
        Sighting seen;
        seen.endpoint = at(place);
        crowd.now += seconds(1);
        crowd.paths.look(key, seen, true, crowd.now);
        const auto path = crowd.paths.view(key, crowd.now).path;
        return path ? std::optional(path->way) : std::nullopt;
    };
    crowd.paths.set_relayed(key, {{at("192.0.2.9:50000"), Way::RelayUdp}}, crowd.now);
    EXPECT_EQ(way_when_at("192.0.2.9:50000"), Way::RelayUdp);
    crowd.paths.set_relayed(key, {}, crowd.now);
    EXPECT_EQ(way_when_at("192.0.2.9:50000"), Way::RelayTls) << "anything else is better";
    // A node may be on a relay's machine.
    Crowd other(1);
    other.paths.set_relays({*Address::parse("192.0.2.9")});
    other.paths.set_peer(other.keys[0], {at("192.0.2.9:51820")}, other.now);
    Sighting seen;
    seen.endpoint = at("192.0.2.9:51820");
    other.paths.look(other.keys[0], seen, true, other.now);
    EXPECT_EQ(other.paths.view(other.keys[0], other.now).path->way, Way::PublicV4);
}

TEST(PathsOfMany, APeerThatIsTakenAwayIsForgotten) {
    Crowd crowd(3);
    crowd.paths.remove(crowd.keys[1]);
    for (const auto& check : crowd.paths.step(crowd.now)) EXPECT_NE(check.key, crowd.keys[1]);
    EXPECT_FALSE(crowd.paths.knows(crowd.keys[1]));
    EXPECT_EQ(crowd.paths.size(), 2u);
}

}  // namespace
}  // namespace cvlan::reach
