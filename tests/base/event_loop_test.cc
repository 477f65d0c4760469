// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <gtest/gtest.h>

#include <vector>

namespace cvlan {
namespace {

using namespace std::chrono_literals;

TEST(ADeadline, RunsOnceAmongOtherTimersAndTheLaterOnesWait) {
    EventLoop loop;
    std::vector<int> ran;
    const Timer later = loop.deadline(1h, [&] { ran.push_back(4); });
    const Timer last = loop.after(1h, [&] { ran.push_back(5); });
    Timer second, third, end;
    const Timer first = loop.deadline(1ms, [&] {
        ran.push_back(1);
        second = loop.after(2ms, [&] {
            ran.push_back(2);
            third = loop.deadline(1ms, [&] {
                ran.push_back(3);
                end = loop.after(2ms, [&] { loop.stop(); });
            });
        });
    });
    EXPECT_TRUE(first.pending());
    loop.run();
    EXPECT_EQ(ran, (std::vector{1, 2, 3}));
    EXPECT_FALSE(first.pending());
    EXPECT_TRUE(later.pending());
}

TEST(ADeadline, StandsFromItsLastRestart) {
    EventLoop loop;
    std::vector<int> ran;
    Timer end;
    Timer moved = loop.deadline(1h, [&] {
        ran.push_back(1);
        end = loop.after(2ms, [&] { loop.stop(); });
    });
    Timer again = loop.deadline(1ms, [&] {
        ran.push_back(2);
        if (ran.size() == 1) again.restart(1ms);
        if (ran.size() == 2) moved.restart(1ms);
        if (ran.size() == 2) again.cancel();
    });
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
        timers.push_back(
            loop.deadline(std::chrono::milliseconds(i % 20 + 1 + i * 1000 * (i % 2)), [&] {
                if (--left == 200) loop.stop();
            }));
    loop.run();
    EXPECT_EQ(left, 200);
}

}  // namespace
}  // namespace cvlan
