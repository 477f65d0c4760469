// SPDX-License-Identifier: Apache-2.0
#include "api/pace.h"

namespace cvlan::api {

namespace {
constexpr size_t kMost = 100'000;
}  // namespace

std::optional<std::chrono::seconds> Pace::too_soon(const std::string& who) {
    const std::lock_guard lock(mutex_);
    const BootTime now = clock_.since_boot();
    if (now - swept_at_ >= between_) {
        swept_at_ = now;
        std::erase_if(last_, [&](const auto& entry) { return now - entry.second >= between_; });
    }
    if (last_.size() >= kMost) last_.clear();
    const auto [entry, is_first] = last_.try_emplace(who, now);
    if (is_first) return std::nullopt;
    const auto past = now - entry->second;
    if (past < between_) return std::chrono::ceil<std::chrono::seconds>(between_ - past);
    entry->second = now;
    return std::nullopt;
}

}  // namespace cvlan::api
