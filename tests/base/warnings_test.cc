// SPDX-License-Identifier: Apache-2.0
#include "base/warnings.h"

#include <gtest/gtest.h>

namespace cvlan {
namespace {

TEST(Warnings, OfAKindAreDueOnceAMinuteAndTellWhatWasLeftOut) {
    ManualClock clock{WallTime{}};
    Warnings warnings(clock);
    EXPECT_EQ(warnings.due("one"), 0);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(warnings.due("one"), std::nullopt);
    EXPECT_EQ(warnings.due("other"), 0);
    clock.advance(std::chrono::seconds(60));
    EXPECT_EQ(warnings.due("one"), 3);
    EXPECT_EQ(warnings.due("one"), std::nullopt);
    clock.advance(std::chrono::seconds(60));
    EXPECT_EQ(warnings.due("other"), 0);
    EXPECT_EQ(warnings.due("one"), 1);
}

}  // namespace
}  // namespace cvlan
