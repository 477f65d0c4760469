// SPDX-License-Identifier: Apache-2.0
#include "api/limiter.h"

#include <algorithm>

namespace cvlan::api {

namespace {
constexpr size_t kMaxBuckets = 10000;
}

Limiter::Bucket& Limiter::drained(const Address& address) {
    const Prefix source = *Prefix::of(address, address.is_v4() ? 32 : 64);
    const BootTime now = clock_.since_boot();
    if (!buckets_.contains(source) && buckets_.size() >= kMaxBuckets)
        buckets_.erase(std::min_element(buckets_.begin(), buckets_.end(), [](auto& a, auto& b) {
            return a.second.at < b.second.at;
        }));
    Bucket& bucket = buckets_.try_emplace(source, Bucket{0, now}).first->second;
    const double minutes = static_cast<double>((now - bucket.at).count()) / 60000;
    bucket.failures = std::max(0.0, bucket.failures - minutes * per_minute_);
    bucket.at = now;
    return bucket;
}

bool Limiter::is_exhausted(const Address& address) {
    return drained(address).failures > per_minute_ - 1;
}

void Limiter::count(const Address& address) { drained(address).failures += 1; }

}  // namespace cvlan::api
