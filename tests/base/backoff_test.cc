// SPDX-License-Identifier: Apache-2.0
#include "base/backoff.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "base/bytes.h"

namespace cvlan {
namespace {

TEST(Backoff, GrowsToThreeQuartersOfAMinuteAndSpreads) {
    Backoff one(1), other(2);
    int differing = 0;
    for (int i = 0; i < 200; ++i) {
        const auto a = one.next(), b = other.next();
        EXPECT_GE(a.count(), 500);
        EXPECT_LE(a.count(), 45'000);
        if (i < 2) {
            EXPECT_LE(a.count(), 2'000);
        }
        if (a != b) ++differing;
    }
    EXPECT_GT(differing, 190);
    one.reset();
    EXPECT_LE(one.next().count(), 1'000);
}

// F79: the controller was away for a day, then 10,000 nodes find it again. Its machine was gone:
// each attempt took as long as http::Client waits for a connection, also the one that was under
// way.
TEST(Backoff, NodesThatLostTheirControllerTogetherComeBackSpread) {
    constexpr int kNodes = 10'000;
    constexpr std::chrono::milliseconds kAttempt = std::chrono::seconds(10);
    const std::chrono::milliseconds back = std::chrono::hours(24);
    std::map<int64_t, int> arrivals;  // by the second since the controller is back
    for (int n = 0; n < kNodes; ++n) {
        const Bytes hash = sha256(as_bytes(fmt::format("node {}", n)));  // as node.cc seeds it
        uint32_t seed = 0;
        std::memcpy(&seed, hash.data(), sizeof seed);
        Backoff backoff(seed);
        std::chrono::milliseconds at{0};  // all lost it in the same moment
        while (at < back) at += kAttempt + backoff.next();
        ++arrivals[(at - back) / std::chrono::seconds(1)];
    }
    EXPECT_LT(arrivals.rbegin()->first, 60);
    // Of 10,000 in 55 s that is 182 a second; some have twice as many.
    for (const auto& [second, count] : arrivals) EXPECT_LT(count, 500) << second;
}

}  // namespace
}  // namespace cvlan
