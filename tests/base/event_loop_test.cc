// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <gtest/gtest.h>

#include <vector>

namespace cvlan {
namespace {

using namespace std::chrono_literals;

TEST(ADeadline, RunsOnceInItsOrderAmongOtherTimers) {
    EventLoop loop;
    std::vector<int> ran;
    const Timer last = loop.after(40ms, [&] { loop.stop(); });
    const Timer third = loop.deadline(20ms, [&] { ran.push_back(3); });
    const Timer first = loop.deadline(1ms, [&] { ran.push_back(1); });
    const Timer second = loop.after(10ms, [&] { ran.push_back(2); });
    EXPECT_TRUE(third.pending());
    loop.run();
    EXPECT_EQ(ran, (std::vector{1, 2, 3}));
    EXPECT_FALSE(third.pending());
}

TEST(ADeadline, StandsFromItsLastRestart) {
    EventLoop loop;
    std::vector<int> ran;
    Timer moved = loop.deadline(1h, [&] { ran.push_back(1); });
    Timer again = loop.deadline(1ms, [&] {
        ran.push_back(2);
        if (ran.size() == 1) again.restart(1ms);
        if (ran.size() == 2) moved.restart(1ms);
        if (ran.size() == 2) again.cancel();
    });
    const Timer end = loop.after(60ms, [&] { loop.stop(); });
    loop.run();
    EXPECT_EQ(ran, (std::vector{2, 2, 1}));
}

TEST(ADeadline, MayDestroyItsHolder) {
    EventLoop loop;
    int ran = 0;
    Timer own = loop.deadline(1ms, [&] {
        ++ran;
        own = Timer();
        loop.stop();
    });
    loop.run();
    EXPECT_EQ(ran, 1);
}

// libevent keeps a limited number of lists.
TEST(ADeadline, MayBeOfAnyLength) {
    EventLoop loop;
    std::vector<Timer> timers;
    int left = 400;
    for (int i = 0; i < 400; ++i)
        timers.push_back(loop.deadline(std::chrono::milliseconds(i % 20 + 1 + i * 1000 * (i % 2)),
                                       [&] { --left; }));
    const Timer end = loop.after(40ms, [&] { loop.stop(); });
    loop.run();
    EXPECT_EQ(left, 200);
}

}  // namespace
}  // namespace cvlan
