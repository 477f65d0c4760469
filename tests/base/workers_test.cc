// SPDX-License-Identifier: Apache-2.0
#include "base/workers.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <future>
#include <memory>
#include <stdexcept>

namespace cvlan {
namespace {

struct Gate {
    std::promise<void> reached, opened;
    void pass() {
        reached.set_value();
        opened.get_future().wait();
    }
};

TEST(Workers, TakeAsManyAsMayWaitAndDoThemInTurn) {
    Workers workers({"workers", 1, 2});
    Gate gate;
    ASSERT_TRUE(workers.run([&] { gate.pass(); }));
    gate.reached.get_future().wait();
    std::vector<int> done;
    std::promise<void> all;
    EXPECT_TRUE(workers.run([&] { done.push_back(1); }));
    EXPECT_TRUE(workers.run([&] {
        done.push_back(2);
        all.set_value();
    }));
    EXPECT_FALSE(workers.run([&] { done.push_back(3); }));
    gate.opened.set_value();
    all.get_future().wait();
    EXPECT_EQ(done, (std::vector<int>{1, 2}));
}

TEST(Workers, EndWhatIsBeingDoneAndDropWhatWaits) {
    Workers workers({"workers", 1, 2});
    Gate gate;
    bool is_whole = false;
    ASSERT_TRUE(workers.run([&] {
        gate.pass();
        is_whole = true;
    }));
    gate.reached.get_future().wait();
    const auto waiting = std::make_shared<int>();
    ASSERT_TRUE(workers.run([waiting] { ADD_FAILURE(); }));
    // Opened when what waits is gone: stop() has dropped it by then.
    std::thread opening([&] {
        while (waiting.use_count() > 1) std::this_thread::yield();
        gate.opened.set_value();
    });
    workers.stop();
    opening.join();
    EXPECT_TRUE(is_whole);
    EXPECT_FALSE(workers.run([] { ADD_FAILURE(); }));
}

TEST(Workers, OutliveATaskThatThrows) {
    Workers workers({"workers", 1, 2});
    std::promise<void> next;
    ASSERT_TRUE(workers.run([] { throw std::runtime_error("no memory"); }));
    ASSERT_TRUE(workers.run([&] { next.set_value(); }));
    next.get_future().wait();
}

TEST(Workers, ThatAreNiceInterruptNobodyWhenTheyWake) {
    for (const int niceness : {0, 15}) {
        Workers workers({"workers", 1, 2, niceness});
        std::promise<std::pair<int, int>> seen;
        ASSERT_TRUE(workers.run([&] {
            seen.set_value({sched_getscheduler(0), getpriority(PRIO_PROCESS, 0)});
        }));
        const auto [policy, priority] = seen.get_future().get();
        EXPECT_EQ(policy, niceness > 0 ? SCHED_BATCH : SCHED_OTHER);
        EXPECT_EQ(priority, niceness);
    }
}

}  // namespace
}  // namespace cvlan
