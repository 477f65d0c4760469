// SPDX-License-Identifier: Apache-2.0
#pragma once

// Threads that take functions in turn, for what waits for a disk or takes long. From any thread.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cvlan {

class Workers {
public:
    struct Options {
        std::string name;  // what top(1) shows, 15 characters at most
        size_t threads = 1;
        size_t most_waiting = 64;
        int niceness = 0;  // as a LoopThread's
    };
    explicit Workers(const Options& options);
    ~Workers() { stop(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // False: too many wait already, or they have been stopped. What a task throws goes to the log.
    [[nodiscard]] bool run(std::function<void()> task);
    // What is being done is done to its end; what waits is dropped, on this thread.
    void stop();

private:
    void work();

    const size_t most_waiting_;
    std::mutex mutex_;
    std::condition_variable wakes_;
    std::deque<std::function<void()>> waiting_;
    bool ends_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace cvlan
