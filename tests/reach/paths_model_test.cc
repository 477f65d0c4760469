// SPDX-License-Identifier: Apache-2.0
// Any two NATs, any losses up to two packets of five: in the end both sides use the best path.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/reach/nat_world.h"

namespace cvlan::reach {
namespace {

using namespace testing;
using std::chrono::seconds;

Link any_link(int most_latency) {
    Link link;
    link.latency = milliseconds(*rc::gen::inRange(1, most_latency));
    link.loss = *rc::gen::inRange(0, 40) / 100.0;
    return link;
}

World::Setup any_setup() {
    World::Setup setup;
    for (Nat& nat : setup.nat)
        nat = *rc::gen::element(Nat::None, Nat::Cone, Nat::Restricted, Nat::Symmetric);
    setup.same_lan = *rc::gen::inRange(0, 4) == 0;
    setup.has_v6 = *rc::gen::inRange(0, 4) == 0;
    setup.v4 = any_link(150);
    setup.v6 = any_link(150);
    setup.lan = any_link(5);
    setup.udp_relay = any_link(150);
    setup.tls.latency = milliseconds(*rc::gen::inRange(1, 200));  // TCP loses nothing
    setup.udp_relay.is_cut = *rc::gen::inRange(0, 4) == 0;
    setup.v4.is_cut = setup.v6.is_cut = setup.lan.is_cut =
        setup.udp_relay.is_cut && *rc::gen::arbitrary<bool>();
    setup.told_late = milliseconds(*rc::gen::inRange(0, 3000));
    return setup;
}

// The path is the best for most of a while: with many losses one may be left now and then.
int share_of_best(World& world, int of) {
    int count = 0;
    for (int i = 0; i < of; ++i) {
        world.run(seconds(1));
        count += world.way(0) == world.best() && world.way(1) == world.best();
    }
    return count;
}

std::string text(const World::Setup& setup) {
    return fmt::format("nat {} {} lan {} v6 {} v4 {}/{} udp {}/{}{} tls {}{}", int(setup.nat[0]),
                       int(setup.nat[1]), setup.same_lan, setup.has_v6, setup.v4.latency.count(),
                       setup.v4.loss, setup.udp_relay.latency.count(), setup.udp_relay.loss,
                       setup.udp_relay.is_cut ? " cut" : "", setup.tls.latency.count(),
                       setup.v4.is_cut ? " direct cut" : "");
}

TEST(PathsModel, WithAnyNatsAndManyLossesBothEndOnTheBestPath) {
    int seconds_seen = 0, seconds_best = 0;
    EXPECT_TRUE(rc::check("ends on the best", [&] {
        World world(any_setup(), *rc::gen::arbitrary<uint32_t>());
        RC_LOG() << text(world.setup());
        world.run(seconds(40));
        const int share = share_of_best(world, 20);
        seconds_seen += 20;
        seconds_best += share;
    }));
    // With many losses one may be on the next best for a while.
    EXPECT_GE(seconds_best * 10, seconds_seen * 9);
}

TEST(PathsModel, WithoutLossItIsThereInThreeSecondsAndAnyPathInOne) {
    EXPECT_TRUE(rc::check("in time", [] {
        World::Setup setup = any_setup();
        setup.v4.loss = setup.v6.loss = setup.lan.loss = setup.udp_relay.loss = 0;
        setup.told_late = milliseconds(*rc::gen::inRange(0, 300));
        World world(setup, *rc::gen::arbitrary<uint32_t>());
        RC_LOG() << text(setup);
        const bool has_any = world.run_until(setup.told_late + milliseconds(1000), [&] {
            return world.received(0) > 0 && world.received(1) > 0;
        });
        RC_ASSERT(has_any);
        const bool has_best = world.run_until(setup.told_late + milliseconds(3000), [&] {
            return world.way(0) == world.best() && world.way(1) == world.best();
        });
        RC_ASSERT(has_best);
    }));
}

TEST(PathsModel, ADirectPathThatIsCutIsReplacedInFiveSecondsAndComesBack) {
    EXPECT_TRUE(rc::check("falls back and returns", [] {
        World::Setup setup = any_setup();
        setup.v4 = setup.v6 = setup.lan = Link{};
        setup.udp_relay = Link{milliseconds(30)};
        World world(setup, *rc::gen::arbitrary<uint32_t>());
        RC_LOG() << text(setup);
        world.run(seconds(*rc::gen::inRange(10, 60)));
        world.cut_direct(true);
        const uint64_t before[2] = {world.received(0), world.received(1)};
        RC_ASSERT(world.run_until(seconds(5), [&] {
            return world.received(0) > before[0] + 512 && world.received(1) > before[1] + 512;
        }));
        world.run(seconds(30));
        world.cut_direct(false);
        RC_ASSERT(world.run_until(seconds(60), [&] {
            return world.way(0) == world.best() && world.way(1) == world.best();
        }));
    }));
}

}  // namespace
}  // namespace cvlan::reach
