// SPDX-License-Identifier: Apache-2.0
#pragma once

// An EventLoop on a thread of its own, for tests that speak to it through blocking sockets.

#include <future>
#include <thread>
#include <utility>

#include "base/event_loop.h"

namespace cvlan::test {

class LoopThread {
public:
    LoopThread() : thread_([this] { loop_.run(); }) {}
    ~LoopThread() {
        loop_.post([this] { loop_.stop(); });
        thread_.join();
    }
    EventLoop& loop() { return loop_; }

    // Runs `run` on the loop and returns what it returns.
    template <class Run>
    auto call(Run run) {
        std::packaged_task<decltype(run())()> task(std::move(run));
        auto result = task.get_future();
        loop_.post([&task] { task(); });
        return result.get();
    }

private:
    EventLoop loop_;
    std::thread thread_;
};

}  // namespace cvlan::test
