// SPDX-License-Identifier: Apache-2.0
#include "base/warnings.h"

#include <utility>

namespace cvlan {

namespace {
constexpr std::chrono::minutes kEvery{1};
}  // namespace

std::optional<int64_t> Warnings::due(std::string_view kind) {
    const std::lock_guard lock(mutex_);
    const BootTime now = clock_.since_boot();
    const auto [found, is_first] = logged_.try_emplace(std::string(kind), Last{now});
    Last& last = found->second;
    if (is_first) return 0;
    if (now - last.at < kEvery) {
        ++last.left_out;
        return std::nullopt;
    }
    last.at = now;
    return std::exchange(last.left_out, 0);
}

}  // namespace cvlan
