// SPDX-License-Identifier: Apache-2.0
#pragma once

// Calls of several threads that are cheaper done together: those that come while some are being
// done wait, and one of their threads does them all next.
//
// Who was just answered often has the next call in hand, and would find that the next batch went
// without him, by one call: so a batch waits until it is as large as the one before it, but not for
// longer than an eighth of what that one took. Whoever is answered takes no lock on his way out: of
// two hundred who wake at once, each would wake once more for that alone.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
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
        const auto [batch, is_first] = join(call);
        if (!is_first) return wait_for(batch);
        wait_for(batch - 1);
        const std::vector<Call*> calls = close_batch();
        const auto started = Clock::now();
        run(calls);
        last_size_ = calls.size();
        last_took_ = Clock::now() - started;
        std::atomic<int>& done = done_[batch % 2];
        done.store(static_cast<int>(batch), std::memory_order_release);
        wake_all(done);
    }

    // How many wait for the next turn.
    size_t waiting() {
        const std::lock_guard lock(mutex_);
        return waiting_.size();
    }

private:
    using Clock = std::chrono::steady_clock;
    struct Place {
        uint32_t batch;
        bool is_first;  // and does the batch, once the one before it is done
    };
    Place join(Call& call) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(&call);
        if (waiting_.size() == wanted_) all_are_here_.notify_one();
        return {batch_, waiting_.size() == 1};
    }
    std::vector<Call*> close_batch() {
        std::unique_lock lock(mutex_);
        wanted_ = last_size_;
        all_are_here_.wait_for(lock, last_took_ / 8, [&] { return waiting_.size() >= wanted_; });
        wanted_ = 0;
        ++batch_;
        return std::exchange(waiting_, {});
    }
    // Its number may have been passed by one that came after it, and numbers wrap.
    void wait_for(uint32_t batch) {
        std::atomic<int>& done = done_[batch % 2];
        int last = done.load(std::memory_order_acquire);
        while (static_cast<int>(static_cast<uint32_t>(last) - batch) < 0) {
            sleep_while(done, last);
            last = done.load(std::memory_order_acquire);
        }
    }

    // std::atomic's wait first spins and yields, which on few cores takes them from who works.
    static void sleep_while(const std::atomic<int>& value, int is) {
        ::syscall(SYS_futex, &value, FUTEX_WAIT_PRIVATE, is, nullptr, nullptr, 0);
    }
    static void wake_all(const std::atomic<int>& value) {
        ::syscall(SYS_futex, &value, FUTEX_WAKE_PRIVATE, std::numeric_limits<int>::max(), nullptr,
                  nullptr, 0);
    }

    std::mutex mutex_;
    std::condition_variable all_are_here_;
    std::vector<Call*> waiting_;  // for the next turn
    uint32_t batch_ = 2;          // its number
    size_t wanted_ = 0;           // so many, while its first waits for the others
    // Of the last batch; whoever does one has them.
    size_t last_size_ = 0;
    Clock::duration last_took_{};
    // The last that was done, of even numbers and of odd: who waits for the next is not woken by
    // the end of this one. An int is what the kernel can wait on.
    std::atomic<int> done_[2] = {0, 1};
};

}  // namespace cvlan::store
