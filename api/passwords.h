// SPDX-License-Identifier: Apache-2.0
#pragma once

// Passwords through argon2id (RFC 9106), on threads of its own: one takes some 30 ms and 19 MiB,
// and nobody's poll waits for that. The queue is bounded. From any thread; a `done` runs on the
// loop that it was asked for with (null: on that given at first), and not once this is gone.

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/workers.h"

namespace cvlan::api {

// OWASP's password storage cheat sheet: m=19 MiB, t=2, p=1.
struct PasswordCost {
    uint32_t memory_kib = 19 * 1024;
    uint32_t passes = 2;
};

class Passwords {
public:
    static constexpr size_t kThreads = 2;
    static constexpr size_t kQueue = 64;

    Passwords(EventLoop& loop, PasswordCost cost);

    // argon2id's encoded form, empty where there was no memory for it. False: the queue is full.
    [[nodiscard]] bool hash(SecretText password, std::function<void(std::string)> done,
                            EventLoop* loop);
    // Where nobody's hash is known, an empty one costs the same and is never right.
    [[nodiscard]] bool verify(std::string hash, SecretText password, std::function<void(bool)> done,
                              EventLoop* loop);
    // Whose `done` has not run yet.
    size_t pending() const { return *pending_; }

private:
    struct Job {
        SecretText password;
        std::string hash;  // to verify against; empty: to be made
        std::function<void(std::string)> done;
        EventLoop* loop;  // of `done`
    };
    bool push(Job job);
    void work(Job& job) const;

    EventLoop& loop_;
    PasswordCost cost_;
    std::string nobodys_;  // the hash of what nobody knows
    std::shared_ptr<std::atomic<size_t>> pending_ = std::make_shared<std::atomic<size_t>>(0);
    Workers workers_{{"cv-passwords", kThreads, kQueue}};
};

}  // namespace cvlan::api
