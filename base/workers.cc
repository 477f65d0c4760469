// SPDX-License-Identifier: Apache-2.0
#include "base/workers.h"

#include <exception>
#include <utility>

#include "base/log.h"
#include "base/loop_thread.h"

namespace cvlan {

Workers::Workers(const Options& options) : most_waiting_(options.most_waiting) {
    threads_.reserve(options.threads);
    for (size_t i = 0; i < options.threads; ++i)
        threads_.emplace_back([this, name = options.name, niceness = options.niceness] {
            name_this_thread(name, niceness);
            work();
        });
}

bool Workers::run(std::function<void()> task) {
    {
        const std::lock_guard lock(mutex_);
        if (ends_ || waiting_.size() >= most_waiting_) return false;
        waiting_.push_back(std::move(task));
    }
    wakes_.notify_one();
    return true;
}

void Workers::stop() {
    std::deque<std::function<void()>> dropped;
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
        dropped.swap(waiting_);
    }
    dropped.clear();
    wakes_.notify_all();
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.join();
}

namespace {

// One that throws is a fault of ours, and ends neither the process nor the thread.
void do_one(const std::function<void()>& task) {
    try {
        task();
    } catch (const std::exception& failure) {
        log::error("workers.task_failed", {{"error", failure.what()}});
    }
}

}  // namespace

void Workers::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        wakes_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
        if (ends_) return;
        {
            const auto task = std::exchange(waiting_.front(), nullptr);
            waiting_.pop_front();
            lock.unlock();
            do_one(task);
        }
        lock.lock();
    }
}

}  // namespace cvlan
