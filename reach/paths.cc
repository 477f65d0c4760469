// SPDX-License-Identifier: Apache-2.0
#include "reach/paths.h"

#include <algorithm>

namespace cvlan::reach {

using std::chrono::milliseconds;

namespace {

// The agent looks every four seconds at the latest: who comes this late was asleep, or stood still.
constexpr milliseconds kSlept{15'000};
// Of peers that are not in use, so that not all are tried at once after a change.
constexpr milliseconds kSpread{1'000};
constexpr milliseconds kSilent{60'000};  // two keepalives of the other side and more
constexpr milliseconds kSilentFirst{30'000};
constexpr milliseconds kSilentPause{300'000};
constexpr milliseconds kReview{10'000};
constexpr milliseconds kFull{1'000};
constexpr size_t kPeersABeat = 64;

// What keepalives and handshakes of WireGuard add up to between two looks (messages.h): 32 bytes a
// keepalive, 148 and 92 a handshake. A tunnel that carries one ping adds more.
uint64_t overhead(const Sighting& before, const Sighting& now, bool is_live) {
    uint64_t bytes = 4 * 32;
    if (now.last_handshake != before.last_handshake) bytes += 148 + 92 + 32;
    if (now.has_keepalive && !is_live) bytes += 3 * 148;  // its keepalive tries by itself
    return bytes;
}

bool has_traffic(const Sighting& before, const Sighting& now, bool is_live) {
    if (now.is_called) return true;
    if (now.rx_bytes < before.rx_bytes || now.tx_bytes < before.tx_bytes) return false;
    return now.rx_bytes - before.rx_bytes + now.tx_bytes - before.tx_bytes >
           overhead(before, now, is_live);
}

}  // namespace

std::optional<Candidate> Paths::candidate(const Peer& peer, const Endpoint& endpoint) const {
    for (const Candidate& one : peer.relayed)
        if (one.to == endpoint) return one;
    const auto is_in = [&](const std::vector<Endpoint>& places) {
        return std::find(places.begin(), places.end(), endpoint) != places.end();
    };
    // A pair that was ended on our side may still be forwarded, for minutes: whatever else works is
    // better. It would else be taken for a direct path, and kept until its end.
    const bool is_left =
        relays_.contains(endpoint.address) && !is_in(peer.told) && !is_in(peer.listed);
    if (is_left) return Candidate{endpoint, Way::RelayTls};
    if (const auto way = way_of(endpoint, underlay_)) return Candidate{endpoint, *way};
    return std::nullopt;
}

std::vector<Candidate> Paths::candidates_of(const Peer& peer) const {
    std::vector<Candidate> candidates = peer.relayed;
    const auto add = [&](const Endpoint& endpoint) {
        const auto is_it = [&](const Candidate& one) { return one.to == endpoint; };
        const auto way = way_of(endpoint, underlay_);
        if (way && std::none_of(candidates.begin(), candidates.end(), is_it))
            candidates.push_back({endpoint, *way});
    };
    for (const Endpoint& endpoint : peer.told) add(endpoint);
    for (const Endpoint& endpoint : peer.listed) add(endpoint);
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.way < b.way; });
    return candidates;
}

void Paths::schedule(Entry& entry, BootTime at) {
    Peer& peer = entry.second;
    if (peer.due == at) return;
    if (peer.due != BootTime::max()) due_.erase({peer.due, &entry});
    if (at != BootTime::max()) due_.emplace(at, &entry);
    peer.due = at;
}

void Paths::end(Entry& entry) {
    schedule(entry, BootTime::max());
    watched_.erase(&entry);
    entry.second.watch.reset();
}

// Who talks is more important than who is only looked for.
bool Paths::make_room(bool is_wanted, BootTime now) {
    if (watched_.size() < (is_wanted ? kMostWatched : kMostEager)) return true;
    if (!is_wanted || now < full_until_) return false;
    for (Entry* entry : watched_) {
        if (entry->second.watch->is_busy(now)) continue;
        end(*entry);
        return true;
    }
    full_until_ = now + kFull;
    return false;
}

PeerPath* Paths::begin(Entry& entry, bool is_wanted, BootTime now) {
    Peer& peer = entry.second;
    if (peer.watch) return peer.watch.get();
    if (!make_room(is_wanted, now)) return nullptr;
    peer.watch = std::make_unique<PeerPath>(peer.speaks_checks);
    watched_.insert(&entry);
    peer.watch->offer(candidates_of(peer), now);
    if (peer.was_seen && peer.seen.endpoint)
        peer.watch->look({.kernel = candidate(peer, *peer.seen.endpoint), .is_live = peer.is_live},
                         now);
    peer.watch->search(now, false);
    schedule(entry, now);
    return peer.watch.get();
}

void Paths::offer(Entry& entry, BootTime now) {
    if (!entry.second.watch) return;
    entry.second.watch->offer(candidates_of(entry.second), now);
    schedule(entry, now);
}

void Paths::set_underlay(const Underlay& underlay, BootTime now) {
    if (underlay == underlay_) return;
    underlay_ = underlay;
    search_all(now);
}

void Paths::search_all(BootTime now) {
    for (Entry& entry : peers_) {
        Peer& peer = entry.second;
        const bool is_watched = peer.watch != nullptr;
        if (!is_watched && !is_small()) continue;
        PeerPath* watch = begin(entry, false, now);
        if (!watch) continue;
        watch->offer(candidates_of(peer), now);
        watch->search(now, true);
        schedule(entry, watch->is_busy(now) ? now : now + jitter_.below(kSpread));
    }
}

void Paths::set_peer(const Key& key, const std::vector<Endpoint>& endpoints, BootTime now) {
    const auto [found, is_new] = peers_.try_emplace(key);
    Peer& peer = found->second;
    if (!is_new && peer.listed == endpoints) return;
    peer.listed = endpoints;
    offer(*found, now);
    // An idle path that stands is left in peace: its own keepalives tell if it does not.
    if (is_small() && (is_new || !peer.is_live)) begin(*found, false, now);
}

void Paths::set_relayed(const Key& key, const std::vector<Candidate>& relayed, BootTime now) {
    const auto found = peers_.find(key);
    if (found == peers_.end() || found->second.relayed == relayed) return;
    found->second.relayed = relayed;
    offer(*found, now);
}

void Paths::told(const Key& key, const std::vector<Endpoint>& endpoints, BootTime now) {
    const auto found = peers_.find(key);
    if (found == peers_.end() || found->second.told == endpoints) return;
    found->second.told = endpoints;
    if (found->second.told.size() > kMostTold) found->second.told.resize(kMostTold);
    offer(*found, now);
}

void Paths::remove(const Key& key) {
    const auto found = peers_.find(key);
    if (found == peers_.end()) return;
    end(*found);
    peers_.erase(found);
}

void Paths::look(const Key& key, const Sighting& seen, bool is_live, BootTime now) {
    const auto found = peers_.find(key);
    if (found == peers_.end()) return;
    Peer& peer = found->second;
    const Sighting before = peer.was_seen ? peer.seen : seen;
    Look look;
    look.has_heard = seen.rx_bytes > before.rx_bytes;
    look.has_traffic = has_traffic(before, seen, is_live);
    look.is_live = is_live;
    if (seen.endpoint) {
        look.kernel = candidate(peer, *seen.endpoint);
        // A place that we would not send to by ourselves, such as that of a relay which is gone.
        if (!look.kernel) look.kernel = Candidate{*seen.endpoint, Way::RelayTls};
    }
    peer.seen = seen;
    peer.was_seen = true;
    peer.is_live = is_live;
    if (look.has_heard) {
        peer.heard_at = now;
        peer.search_pause = milliseconds(0);
    }
    if (peer.watch) {
        peer.watch->look(look, now);
        schedule(*found, now);
    } else if (look.has_traffic) {
        if (PeerPath* watch = begin(*found, true, now)) watch->look(look, now);
    } else {
        search_silent(*found, now);
    }
}

// Both sides send keepalives: where none come, the path may be no more though nobody uses it.
void Paths::search_silent(Entry& entry, BootTime now) {
    Peer& peer = entry.second;
    if (!is_small() || !peer.seen.has_keepalive) return;
    if (peer.heard_at ? now - *peer.heard_at < kSilent : peer.is_live) return;
    if (now < peer.search_again) return;
    const bool is_first = peer.search_pause == milliseconds(0);
    peer.search_pause = std::clamp(peer.search_pause * 2, kSilentFirst, kSilentPause);
    peer.search_again = now + jitter_.around(peer.search_pause);
    if (is_first && !peer.heard_at) return;  // it has just been searched for
    if (PeerPath* watch = begin(entry, false, now)) watch->search(now, true);
}

void Paths::asked(const Key& key, const Endpoint& from, BootTime now) {
    const auto found = peers_.find(key);
    if (found == peers_.end()) return;
    Peer& peer = found->second;
    peer.speaks_checks = true;
    const auto source = candidate(peer, from);
    if (!source) return;
    if (!peer.watch && peer.is_live && peer.seen.endpoint == from) return;
    PeerPath* watch = begin(*found, true, now);
    if (!watch) return;
    watch->asked_from(*source, now);
    schedule(*found, now);
}

bool Paths::answered(const Key& key, uint64_t token, const Endpoint& from, BootTime now) {
    const auto found = peers_.find(key);
    if (found == peers_.end() || !found->second.watch) return false;
    if (!found->second.watch->answered(token, from, now)) return false;
    found->second.speaks_checks = true;
    schedule(*found, now);
    return true;
}

void Paths::refill(BootTime now) {
    const int64_t passed = std::min<int64_t>((now - filled_at_).count(), 1000);
    budget_ = std::min(budget_ + passed * kPerSecond, kAtOnce * 1000);
    filled_at_ = now;
}

std::vector<Paths::Check> Paths::step(BootTime now) {
    if (stepped_at_ && now - *stepped_at_ > kSlept) search_all(now);
    stepped_at_ = now;
    refill(now);
    const milliseconds beat =
        PeerPath::kBeat * static_cast<int64_t>(1 + watched_.size() / kPeersABeat);
    std::vector<Check> checks;
    while (!due_.empty() && due_.begin()->first <= now && budget_ >= 1000) {
        Entry& entry = *due_.begin()->second;
        PeerPath& watch = *entry.second.watch;
        watch.set_beat(beat);
        const auto most = static_cast<size_t>(budget_ / 1000);
        for (const Probe& probe : watch.step(now, most, token_, jitter_)) {
            checks.push_back({entry.first, probe});
            budget_ -= 1000;
        }
        // What the budget left over stays due, behind the others that are.
        const BootTime due = std::max(watch.due(), now + milliseconds(1));
        if (watch.is_done(now))
            end(entry);
        else
            schedule(entry, std::min(due, now + kReview));
    }
    return checks;
}

BootTime Paths::deadline() const {
    if (due_.empty()) return BootTime::max();
    const BootTime first = due_.begin()->first;
    if (budget_ >= 1000) return first;
    return std::max(first, filled_at_ + milliseconds(1 + (1000 - budget_) / kPerSecond));
}

bool Paths::wants_look(BootTime now) const {
    return std::any_of(watched_.begin(), watched_.end(),
                       [&](const Entry* entry) { return entry->second.watch->wants_look(now); });
}

std::vector<std::pair<Paths::Key, Endpoint>> Paths::to_write(BootTime now) {
    std::vector<std::pair<Key, Endpoint>> writes;
    for (Entry* entry : watched_)
        if (const auto endpoint = entry->second.watch->to_write(now))
            writes.emplace_back(entry->first, *endpoint);
    return writes;
}

Paths::View Paths::view(const Key& key, BootTime now) const {
    View view;
    const auto found = peers_.find(key);
    if (found == peers_.end()) return view;
    const Peer& peer = found->second;
    view.speaks_checks = peer.speaks_checks;
    if (peer.watch) {
        if (const Candidate* path = peer.watch->path()) view.path = *path;
        view.round_trip = peer.watch->round_trip();
        view.needs_relay = peer.watch->needs_relay(now);
        view.needs_pair = peer.watch->needs_pair(now);
    } else if (peer.is_live && peer.seen.endpoint) {
        view.path = candidate(peer, *peer.seen.endpoint);
        view.needs_relay = !view.path || !is_direct(view.path->way);
        view.needs_pair = view.path && view.needs_relay;
    }
    return view;
}

std::vector<Paths::Key> Paths::in_need(BootTime now) const {
    std::vector<Key> keys;
    for (const auto& [key, peer] : peers_) {
        if (!peer.watch && peer.relayed.empty()) continue;
        const View seen = view(key, now);
        if (seen.needs_relay || seen.needs_pair) keys.push_back(key);
    }
    return keys;
}

}  // namespace cvlan::reach
