// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/check_messages.h"

#include <algorithm>

#include "reach/path_check.h"

namespace cvlan::agent {

bool Budget::take(BootTime now) {
    const int64_t passed = std::clamp<int64_t>((now - filled_at_).count(), 0, 1000);
    left_ = std::min(left_ + passed * per_second_, per_second_ * 1000);
    filled_at_ = now;
    if (left_ < 1000) return false;
    left_ -= 1000;
    return true;
}

void OpenChecks::sent(uint64_t token, const PathKey& to, BootTime now) {
    while (!open_.empty() && now - open_.front().sent_at > kKept) open_.pop_front();
    open_.push_back({token, to, now});
}

const PathKey* OpenChecks::find(uint64_t token) const {
    const auto found =
        std::lower_bound(open_.begin(), open_.end(), token,
                         [](const Open& one, uint64_t wanted) { return one.token < wanted; });
    return found == open_.end() || found->token != token ? nullptr : &found->to;
}

std::vector<Endpoint> told_places(const std::vector<Endpoint>& places) {
    std::vector<Endpoint> told = places;
    if (told.size() > reach::kMostPlaces) told.resize(reach::kMostPlaces);
    return told;
}

}  // namespace cvlan::agent
