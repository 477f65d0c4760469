// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/map_life.h"

#include <gtest/gtest.h>

#include "tests/daemons/agent/support.h"

namespace cvlan::agent {
namespace {

using namespace std::chrono_literals;
using testing::kNow;

model::wire::MapHead week() {
    model::wire::MapHead head;
    head.issued_at = kNow;
    head.expires_at = kNow + 24h * 7;
    return head;
}

TEST(MapLife, CountsDownByTheBootClock) {
    ManualClock clock(kNow);
    MapLife life(clock, "boot-1");
    life.signed_anew();
    clock.advance(24h * 6);
    EXPECT_EQ(life.left(week()), 24h);
    clock.advance(25h);
    EXPECT_EQ(life.left(week()), -1h);
}

TEST(MapLife, AWallClockThatJumpsNeitherEndsNorRevivesIt) {
    ManualClock clock(kNow);
    MapLife life(clock, "boot-1");
    life.signed_anew();
    clock.advance(24h);
    clock.set_wall(kNow + 24h * 365);
    EXPECT_EQ(life.left(week()), 24h * 6);
    clock.set_wall(kNow - 24h * 365);
    EXPECT_EQ(life.left(week()), 24h * 6);
}

TEST(MapLife, GoesOnAfterARestartOfTheAgentWhateverTheWallClockSays) {
    ManualClock clock(kNow);
    MapLife life(clock, "boot-1");
    life.signed_anew();
    clock.advance(48h);
    const auto saved = life.state();
    clock.advance(1h);
    clock.set_wall(kNow + 24h * 365);
    MapLife again(clock, "boot-1");
    again.restore(saved);
    EXPECT_EQ(again.lived(), 49h);
}

TEST(MapLife, CountsTheTimeSwitchedOffByTheWallClockAndNeverBackwards) {
    ManualClock before(kNow);
    MapLife life(before, "boot-1");
    life.signed_anew();
    before.advance(48h);
    const auto saved = life.state();

    ManualClock later(kNow + 72h);  // a new boot: its clock begins at 0
    MapLife after(later, "boot-2");
    after.restore(saved);
    EXPECT_EQ(after.lived(), 72h);

    ManualClock without_battery(from_unix_ms(0));
    MapLife stuck(without_battery, "boot-3");
    stuck.restore(saved);
    EXPECT_EQ(stuck.lived(), 48h);
}

TEST(MapLife, KnowsHowLongAgoTheControllerConfirmed) {
    ManualClock clock(kNow);
    MapLife life(clock, "boot-1");
    clock.advance(40s);
    life.confirmed();
    clock.advance(2s);
    EXPECT_EQ(life.since_confirmed(), 2s);
}

}  // namespace
}  // namespace cvlan::agent
