// SPDX-License-Identifier: Apache-2.0
#pragma once

// What all views of one database share: its connection, and the way of committed events to the
// listeners. Any thread may read and write; listeners are called as store.h says. Only store
// includes it.

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/unique_fd.h"
#include "store/sqlite.h"
#include "store/types.h"

namespace cvlan::store {

class Engine {
public:
    // `lock` is held as long as the engine lives.
    Engine(Database db, UniqueFd lock, int64_t epoch, const Clock& clock)
        : lock_(std::move(lock)), db_(std::move(db)), epoch_(epoch), clock_(clock) {}

    template <class Body>
    auto read(Body body) -> decltype(body());
    // Runs body in a transaction, commits where it succeeds, then tells the listeners.
    template <class Body>
    auto write(Body body) -> decltype(body());

    // For bodies of read and write.
    Database& db() { return db_; }
    // The event of the open transaction's change.
    void announce(Event event) { pending_.push_back(std::move(event)); }

    void on_event(std::function<void(const Event&)> listener);
    const Clock& clock() const { return clock_; }
    int64_t epoch() const { return epoch_; }
    uint64_t commits() const { return commits_; }
    const metrics::Histogram& write_seconds() const { return write_seconds_; }

private:
    void deliver();

    UniqueFd lock_;
    std::mutex mutex_;
    Database db_;
    int64_t epoch_;
    std::atomic<uint64_t> commits_ = 0;
    metrics::Histogram write_seconds_;
    const Clock& clock_;
    std::vector<Event> pending_;  // of the open transaction
    std::deque<Event> committed_;
    std::vector<std::function<void(const Event&)>> listeners_;

    std::mutex delivery_;  // taken before mutex_
    std::atomic<std::thread::id> deliverer_{};
};

template <class Body>
auto Engine::read(Body body) -> decltype(body()) {
    const std::lock_guard lock(mutex_);
    return body();
}

template <class Body>
auto Engine::write(Body body) -> decltype(body()) {
    const auto started = std::chrono::steady_clock::now();
    auto result = read([&]() -> decltype(body()) {
        pending_.clear();
        auto transaction = Transaction::begin(db_);
        if (!transaction) return failed(transaction.error());
        const int64_t before = db_.total_changes();
        auto done = body();
        if (!done) return done;
        if (auto committed = transaction->commit(); !committed) return failed(committed.error());
        if (db_.total_changes() != before) ++commits_;
        committed_.insert(committed_.end(), pending_.begin(), pending_.end());
        return done;
    });
    write_seconds_.observe(std::chrono::steady_clock::now() - started);
    deliver();
    return result;
}

}  // namespace cvlan::store
