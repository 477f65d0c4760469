// SPDX-License-Identifier: Apache-2.0
#pragma once

// An EventLoop on a thread of its own. The loop takes posted functions until the LoopThread is
// destroyed, also after stop(): they run no more, and go with it.

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/event_loop.h"

namespace cvlan {

// `name` is what top(1) shows, 15 characters at most. A nice thread gives way to the others of the
// process when there are more to run than processors, and does not interrupt who runs when it wakes
// (SCHED_BATCH; sched(7), per thread on Linux).
void name_this_thread(const std::string& name, int niceness);

// For a thread that works for some microseconds at a time and that others wait for: it runs when it
// wakes, and not when whoever runs has used up a slice of milliseconds (EEVDF, Linux 6.12; before,
// and where it is not allowed, nothing changes). Those who are started by it afterwards have it
// too.
void ask_for_short_slices();

class LoopThread {
public:
    explicit LoopThread(const std::string& name = "cvlan-loop", int niceness = 0);
    ~LoopThread() { stop(); }
    LoopThread(const LoopThread&) = delete;
    LoopThread& operator=(const LoopThread&) = delete;

    EventLoop& loop() { return loop_; }

    // Runs `run` on the loop and returns what it returns. Not from the loop's own thread, and not
    // after stop(): both would wait for ever.
    template <class Run>
    auto call(Run run) {
        // Shared: the loop is not yet done with it when its result is there.
        using Task = std::packaged_task<decltype(run())()>;
        const auto task = std::make_shared<Task>(std::move(run));
        auto result = task->get_future();
        loop_.post([task] { (*task)(); });
        return result.get();
    }

    // Ends the thread when what was posted before has run.
    void stop();

private:
    EventLoop loop_;
    std::thread thread_;
};

}  // namespace cvlan
