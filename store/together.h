// SPDX-License-Identifier: Apache-2.0
#pragma once

// Calls of several threads that are cheaper done together: those that come while some are being
// done wait, and one of their threads does them all next. Nobody waits longer than that for others
// to come.

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace cvlan::store {

template <class Call>
class Together {
public:
    // Returns when `run` has done `call`, on this thread or on another's.
    template <class Run>
    void run(Call& call, const Run& run) {
        Waiting self{&call};
        std::unique_lock lock(mutex_);
        waiting_.push_back(&self);
        std::condition_variable& turn = turn_[batch_ % 2];
        turn.wait(lock, [&] { return self.is_done || !is_running_; });
        if (self.is_done) return;

        is_running_ = true;
        const std::vector<Waiting*> batch = std::exchange(waiting_, {});
        std::condition_variable& next_turn = turn_[++batch_ % 2];
        lock.unlock();
        std::vector<Call*> calls;
        for (const Waiting* each : batch) calls.push_back(each->call);
        run(calls);
        lock.lock();
        is_running_ = false;
        for (Waiting* each : batch) each->is_done = true;
        turn.notify_all();
        next_turn.notify_one();  // one of them does the next
    }

    // How many wait for the next turn.
    size_t waiting() {
        const std::lock_guard lock(mutex_);
        return waiting_.size();
    }

private:
    struct Waiting {
        Call* call;
        bool is_done = false;
    };

    std::mutex mutex_;
    std::vector<Waiting*> waiting_;  // for the next turn
    uint64_t batch_ = 0;             // its number
    bool is_running_ = false;        // the one before it
    std::condition_variable turn_[2];
};

}  // namespace cvlan::store
