// SPDX-License-Identifier: Apache-2.0
#include "api/limiter.h"

#include <algorithm>

namespace cvlan::api {

namespace {
constexpr size_t kMaxBuckets = 10000;

Prefix source_of(const Address& address) { return *Prefix::of(address, address.is_v4() ? 32 : 64); }
}  // namespace

double Limiter::failures_of(const Bucket& bucket) const {
    const double minutes = static_cast<double>((clock_.since_boot() - bucket.at).count()) / 60000;
    return std::max(0.0, bucket.failures - minutes * per_minute_);
}

bool Limiter::is_exhausted(const Address& address) const {
    const std::lock_guard lock(mutex_);
    const auto found = buckets_.find(source_of(address));
    return found != buckets_.end() && failures_of(found->second) > per_minute_ - 1;
}

void Limiter::count(const Address& address) {
    const std::lock_guard lock(mutex_);
    const Prefix source = source_of(address);
    if (!buckets_.contains(source) && buckets_.size() >= kMaxBuckets)
        buckets_.erase(std::min_element(buckets_.begin(), buckets_.end(), [](auto& a, auto& b) {
            return a.second.at < b.second.at;
        }));
    Bucket& bucket = buckets_.try_emplace(source, Bucket{0, clock_.since_boot()}).first->second;
    bucket = {failures_of(bucket) + 1, clock_.since_boot()};
}

}  // namespace cvlan::api
