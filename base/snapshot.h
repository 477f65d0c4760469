// SPDX-License-Identifier: Apache-2.0
#pragma once

// A value that never changes while somebody looks at it, and that another may replace at any time:
// who holds what get() gave has it as it was. Safe to use from any thread.

#include <memory>
#include <mutex>
#include <utility>

namespace cvlan {

template <class T>
class Snapshot {
public:
    explicit Snapshot(T value) : value_(std::make_shared<const T>(std::move(value))) {}

    std::shared_ptr<const T> get() const {
        const std::lock_guard lock(mutex_);
        return value_;
    }
    // For one expression: `authority->trust_domain()`.
    std::shared_ptr<const T> operator->() const { return get(); }
    void set(T value) {
        auto fresh = std::make_shared<const T>(std::move(value));
        const std::lock_guard lock(mutex_);
        value_.swap(fresh);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const T> value_;
};

}  // namespace cvlan
