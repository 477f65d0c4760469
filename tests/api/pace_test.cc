// SPDX-License-Identifier: Apache-2.0
#include "api/pace.h"

#include <gtest/gtest.h>

namespace cvlan::api {
namespace {

using namespace std::chrono_literals;

struct PaceTest : testing::Test {
    ManualClock clock{from_unix_ms(1'800'000'000'000)};
};

TEST_F(PaceTest, ManyAtOnceAndThenOneInSoLong) {
    Pace pace(500ms, 3, clock);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(pace.too_soon("a"));
    EXPECT_EQ(pace.too_soon("a"), 1s);
    EXPECT_FALSE(pace.too_soon("b"));
    clock.advance(499ms);
    EXPECT_EQ(pace.too_soon("a"), 1s) << "who is refused is not put off by that";
    clock.advance(1ms);
    EXPECT_FALSE(pace.too_soon("a"));
    EXPECT_TRUE(pace.too_soon("a"));
    clock.advance(1h);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(pace.too_soon("a"));
    EXPECT_TRUE(pace.too_soon("a"));
}

TEST_F(PaceTest, OneAtOnceIsOneInSoLong) {
    Pace pace(5s, 1, clock);
    EXPECT_FALSE(pace.too_soon("a"));
    EXPECT_EQ(pace.too_soon("a"), 5s);
    clock.advance(4s);
    EXPECT_EQ(pace.too_soon("a"), 1s);
    clock.advance(1s);
    EXPECT_FALSE(pace.too_soon("a"));
}

}  // namespace
}  // namespace cvlan::api
