// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/home_relay.h"

#include <algorithm>
#include <map>

#include "base/bytes.h"

namespace cvlan::agent {

using std::chrono::milliseconds;

bool HomeRelay::is_avoided(const std::string& id, BootTime now) const {
    return std::any_of(avoided_.begin(), avoided_.end(),
                       [&](const auto& one) { return one.first == id && now < one.second; });
}

// One whose distance is known comes before those that did not answer.
const HomeRelay::Relay* HomeRelay::nearest(const std::vector<Relay>& relays, BootTime now) const {
    const Relay* best = nullptr;
    for (const Relay& one : relays) {
        if (is_avoided(one.id, now)) continue;
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
    std::erase_if(avoided_, [&](const auto& avoided) {
        return now >= avoided.second ||
               std::any_of(relays.begin(), relays.end(),
                           [&](const Relay& one) { return one.is_up && one.id == avoided.first; });
    });
    const auto home =
        std::find_if(relays.begin(), relays.end(), [&](const Relay& one) { return one.id == id_; });
    const bool is_there = home != relays.end();
    const bool is_down = is_there && home->down_since && now - *home->down_since >= kDownFor;
    if (is_down && !is_avoided(id_, now)) avoided_.emplace_back(id_, now + kAvoidedFor);
    const Relay* best = nearest(relays, now);
    const bool is_kept = is_there && (!best || (!is_down && !is_nearer(*best, *home, now)));
    if (is_kept) return id_;
    nearer_since_.reset();
    id_ = best ? best->id : relays.empty() ? "" : relays.front().id;
    return id_;
}

void HomeRelay::network_changed() {
    avoided_.clear();
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
