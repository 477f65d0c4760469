// SPDX-License-Identifier: Apache-2.0
#pragma once

// Refused attempts on their way into the audit. Whoever notes one does not wait for the disk: what
// came in a second is written together at its end, and under a flood ever more seldom, up to a
// minute. Equal ones are one entry with their count. Bounded in memory: of a chain that has too
// many different ones the rest are told apart by who, what and why alone. From any thread.

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "store/store.h"

namespace cvlan::api {

class Refusals {
public:
    Refusals(store::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

    void note(const store::Refusal& refusal);
    // To be called every second, where nobody waits for it.
    void flush_due();
    // At the end, and in tests.
    void flush();
    // False while what was refused can not be written: then nothing may be administered.
    bool are_written();
    bool is_failing() const { return is_failing_; }

private:
    // actor, source, action, object, outcome
    using Key = std::tuple<std::string, std::string, std::string, std::string, std::string>;
    using Chain = std::map<Key, store::Refusal>;

    void add(const store::Refusal& refusal);
    void adapt(int64_t attempts);

    store::Store& store_;
    const Clock& clock_;
    std::mutex mutex_;
    std::map<std::string, Chain> chains_;  // by tenant; those of a tenant are of who proved it
    BootTime due_{0};
    std::chrono::milliseconds pause_{1000};
    std::atomic<bool> is_failing_ = false;
};

}  // namespace cvlan::api
