// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/home_relay.h"

#include <algorithm>
#include <map>

#include "base/bytes.h"

namespace cvlan::agent {

using std::chrono::milliseconds;

void HomeRelay::note_lives(const std::vector<Relay>& relays, BootTime now) {
    std::set<std::string> left;
    for (const Relay& one : relays) {
        const bool is_down = one.down_since && now - *one.down_since >= kDownFor;
        if (is_down || (left_.contains(one.id) && !one.is_proven)) left.insert(one.id);
    }
    left_ = std::move(left);
}

// One whose distance is known comes before those that did not answer.
const HomeRelay::Relay* HomeRelay::nearest(const std::vector<Relay>& relays) const {
    const Relay* best = nullptr;
    for (const Relay& one : relays) {
        if (left_.contains(one.id)) continue;
        const bool is_better = !best || (one.round_trip && !best->round_trip) ||
                               (one.round_trip && *one.round_trip < *best->round_trip);
        if (is_better) best = &one;
    }
    return best;
}

bool HomeRelay::is_nearer(const Relay& other, const Relay& home, BootTime now) {
    if (!other.round_trip || other.id == home.id) return nearer_since_.reset(), false;
    const milliseconds ours = home.round_trip.value_or(milliseconds::max() / 2);
    const milliseconds gain = ours - *other.round_trip;
    if (gain < kLeastGain || gain < ours / 4) return nearer_since_.reset(), false;
    if (!nearer_since_) nearer_since_ = now;
    return now - *nearer_since_ >= kNearerFor;
}

const std::string& HomeRelay::choose(const std::vector<Relay>& relays, BootTime now) {
    note_lives(relays, now);
    const auto home =
        std::find_if(relays.begin(), relays.end(), [&](const Relay& one) { return one.id == id_; });
    const bool is_there = home != relays.end();
    const Relay* best = nearest(relays);
    const bool is_kept =
        is_there && (!best || (!left_.contains(id_) && !is_nearer(*best, *home, now)));
    if (is_kept) return id_;
    nearer_since_.reset();
    id_ = best ? best->id : relays.empty() ? "" : relays.front().id;
    return id_;
}

void HomeRelay::network_changed() {
    left_.clear();
    nearer_since_.reset();
}

std::vector<std::string> order_of(std::vector<std::string> relay_ids, const std::string& node_id) {
    std::map<Bytes, std::string> ordered;
    for (std::string& id : relay_ids) ordered.emplace(sha256(as_bytes(node_id + id)), id);
    std::vector<std::string> out;
    for (auto& [hash, id] : ordered) out.push_back(std::move(id));
    return out;
}

}  // namespace cvlan::agent
