// SPDX-License-Identifier: Apache-2.0
// Calls that are done together: each once, one batch at a time, and those who wait in one.
#include "store/together.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace cvlan::store {
namespace {

struct Call {
    int times_done = 0;
};

TEST(Together, ThoseWhoComeMeanwhileAreDoneInOneBatch) {
    Together<Call> together;
    std::vector<size_t> batches;
    std::promise<void> ends;
    const auto call = [&](const std::function<void()>& before) {
        Call mine;
        together.run(mine, [&](const std::vector<Call*>& calls) {
            before();
            batches.push_back(calls.size());
            for (Call* each : calls) ++each->times_done;
        });
        EXPECT_EQ(mine.times_done, 1);
    };
    std::promise<void> has_begun;
    std::thread first([&] {
        call([&] {
            has_begun.set_value();
            ends.get_future().wait();
        });
    });
    has_begun.get_future().wait();
    std::vector<std::thread> others;
    for (int i = 0; i < 5; ++i) others.emplace_back([&] { call([] {}); });
    while (together.waiting() < 5) std::this_thread::yield();
    ends.set_value();
    first.join();
    for (std::thread& other : others) other.join();
    EXPECT_EQ(batches, (std::vector<size_t>{1, 5}));
}

TEST(Together, EachCallIsDoneOnceAndOneBatchAtATime) {
    constexpr int kThreads = 8;
    constexpr int kCalls = 500;
    Together<Call> together;
    int done = 0;  // of the batch alone: a second at the same time is a race
    std::atomic<int> running = 0;
    std::atomic<int> faults = 0;
    const auto work = [&] {
        for (int i = 0; i < kCalls; ++i) {
            Call mine;
            together.run(mine, [&](const std::vector<Call*>& calls) {
                if (++running != 1) ++faults;
                for (Call* each : calls) ++each->times_done;
                done += static_cast<int>(calls.size());
                --running;
            });
            if (mine.times_done != 1) ++faults;
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(done, kThreads * kCalls);
    EXPECT_EQ(faults, 0);
    EXPECT_EQ(together.waiting(), 0U);
}

}  // namespace
}  // namespace cvlan::store
