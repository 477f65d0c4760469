// SPDX-License-Identifier: Apache-2.0
#include "base/anchored_clock.h"

#include <gtest/gtest.h>

namespace cvlan {
namespace {

using namespace std::chrono_literals;

struct AnchoredClockTest : testing::Test {
    ManualClock wall{from_unix_ms(1'800'000'000'000)};
    AnchoredClock clock{wall};
    const WallTime start = wall.now();
};

TEST_F(AnchoredClockTest, FollowsSmallCorrections) {
    wall.advance(1h);
    EXPECT_EQ(clock.now(), start + 1h);
    wall.set_wall(wall.now() + 9min);
    EXPECT_EQ(clock.now(), start + 1h + 9min);
    wall.set_wall(start + 1h - 1s);  // a leap second
    EXPECT_EQ(clock.now(), start + 1h - 1s);
    EXPECT_EQ(clock.disbelieved(), 0ms);
}

// F32
TEST_F(AnchoredClockTest, BelievesNoJump) {
    for (const auto jump : {24h * 365, -24h * 365, 1h, -1h}) {
        wall.set_wall(start + jump);
        EXPECT_EQ(clock.now(), start);
        EXPECT_EQ(clock.disbelieved(), jump);
        wall.set_wall(start);
    }
    wall.set_wall(start + 24h * 365);
    wall.advance(2h);
    EXPECT_EQ(clock.now(), start + 2h) << "time goes on";
    wall.set_wall(start + 2h);
    EXPECT_EQ(clock.disbelieved(), 0ms) << "put right, it is believed again";
}

TEST_F(AnchoredClockTest, OneThatGoesBackASecondEachSecondIsLeftBehind) {
    for (int second = 0; second < 3600; ++second) {
        wall.advance(1s);
        wall.set_wall(start);
        EXPECT_LT(std::chrono::abs(start + std::chrono::seconds(second + 1) - clock.now()),
                  AnchoredClock::kBelieved);
    }
    EXPECT_EQ(clock.now(), start + 1h);
}

}  // namespace
}  // namespace cvlan
