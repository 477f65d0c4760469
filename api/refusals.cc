// SPDX-License-Identifier: Apache-2.0
#include "api/refusals.h"

#include "base/log.h"

namespace cvlan::api {

namespace {
using namespace std::chrono_literals;
constexpr std::chrono::milliseconds kShortestPause = 1s;
constexpr std::chrono::milliseconds kLongestPause = 60s;
constexpr int64_t kFloodPerSecond = 20;
constexpr size_t kMaxOfAChain = 256;  // different ones that wait
}  // namespace

// With the lock held.
void Refusals::add(const store::Refusal& refusal) {
    Chain& chain = chains_[refusal.tenant_id];
    Key key{refusal.cause.actor, refusal.cause.source, refusal.action, refusal.object_id,
            refusal.outcome};
    const bool is_full = chain.size() >= kMaxOfAChain && !chain.contains(key);
    if (is_full) std::get<1>(key) = std::get<3>(key) = "";
    auto [at, is_new] = chain.try_emplace(std::move(key), refusal);
    if (!is_new) {
        at->second.count += refusal.count;
    } else if (is_full) {
        at->second.cause.source.clear();
        at->second.object_id.clear();
    }
}

void Refusals::note(const store::Refusal& refusal) {
    const std::lock_guard lock(mutex_);
    add(refusal);
}

void Refusals::flush_due() {
    {
        const std::lock_guard lock(mutex_);
        if (chains_.empty() || clock_.since_boot() < due_) return;
    }
    flush();
}

// A flood is written ever more seldom, and the first quiet time ends that.
void Refusals::adapt(int64_t attempts) {
    const bool is_flood = attempts * 1000 > kFloodPerSecond * pause_.count();
    pause_ = is_flood ? std::min(pause_ * 2, kLongestPause) : kShortestPause;
}

void Refusals::flush() {
    std::vector<store::Refusal> refusals;
    {
        const std::lock_guard lock(mutex_);
        int64_t attempts = 0;
        for (auto& [tenant, chain] : chains_)
            for (auto& [key, refusal] : chain) {
                attempts += refusal.count;
                refusals.push_back(std::move(refusal));
            }
        chains_.clear();
        adapt(attempts);
        due_ = clock_.since_boot() + pause_;
    }
    if (refusals.empty()) return;
    auto written = store_.record_refusals(refusals);
    if (written) {
        if (is_failing_.exchange(false)) log::info("audit.written_again");
        return;
    }
    const std::lock_guard lock(mutex_);
    for (const store::Refusal& refusal : refusals) add(refusal);
    due_ = clock_.since_boot() + kShortestPause;
    if (!is_failing_.exchange(true))
        log::error("audit.not_written", {{"reason", written.error().message}});
}

bool Refusals::are_written() {
    if (is_failing_) flush_due();
    return !is_failing_;
}

}  // namespace cvlan::api
