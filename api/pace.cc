// SPDX-License-Identifier: Apache-2.0
#include "api/pace.h"

#include <algorithm>

namespace cvlan::api {

namespace {
constexpr size_t kMost = 100'000;
}  // namespace

std::optional<std::chrono::seconds> Pace::too_soon(const std::string& who) {
    const std::lock_guard lock(mutex_);
    const BootTime now = clock_.since_boot();
    if (now - swept_at_ >= between_ + ahead_) {
        swept_at_ = now;
        std::erase_if(next_, [&](const auto& entry) { return entry.second <= now; });
    }
    if (next_.size() >= kMost) next_.clear();
    BootTime& next = next_.try_emplace(who, now).first->second;
    const auto wait = next - ahead_ - now;
    if (wait > Span(0)) return std::chrono::ceil<std::chrono::seconds>(wait);
    next = std::max(next, now) + between_;
    return std::nullopt;
}

}  // namespace cvlan::api
