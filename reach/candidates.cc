// SPDX-License-Identifier: Apache-2.0
#include "reach/candidates.h"

#include <algorithm>

namespace cvlan::reach {

namespace {

bool is_public(std::span<const Endpoint> endpoints) {
    return !endpoints.empty() && std::none_of(endpoints.begin(), endpoints.end(),
                                              [](auto& e) { return e.address.is_private(); });
}

}  // namespace

std::vector<Endpoint> rank(std::span<const Endpoint> endpoints, const Underlay& underlay) {
    std::vector<Endpoint> ranked;
    for (const Endpoint& endpoint : endpoints)
        if (way_of(endpoint, underlay) &&
            std::find(ranked.begin(), ranked.end(), endpoint) == ranked.end())
            ranked.push_back(endpoint);
    // Stable: within a rank the order is the map's, where advertised endpoints stand first.
    std::stable_sort(ranked.begin(), ranked.end(), [&](const Endpoint& a, const Endpoint& b) {
        return way_of(a, underlay) < way_of(b, underlay);
    });
    return ranked;
}

bool needs_keepalive(std::span<const Endpoint> ours, std::span<const Endpoint> theirs) {
    return !is_public(ours) || !is_public(theirs);
}

bool Candidates::is_live(const Moment& now) const {
    return live_since_ && now.boot - *live_since_ < kSessionLife;
}

// Keeps what was seen. True if the other side gave a sign of life since the last look.
bool Candidates::watch(const Sighting& seen, const Moment& now) {
    bool heard = has_looked_ && seen.rx_bytes > rx_bytes_;
    const bool is_new_handshake = seen.last_handshake && seen.last_handshake != last_handshake_;
    if (is_new_handshake) {
        // The kernel keeps wall time. What we saw happen was just now; what was there when we came
        // has the age the wall clock gives it, and a clock that makes it later than now is wrong.
        const auto age = has_looked_
                             ? std::chrono::milliseconds(0)
                             : std::max(now.wall - *seen.last_handshake, WallTime::duration(0));
        live_since_ = now.boot - age;
        heard = heard || has_looked_;
    }
    // Made anew: the session is gone with the peer that had it, unless there is one again.
    if (!seen.last_handshake || (seen.rx_bytes < rx_bytes_ && !is_new_handshake))
        live_since_.reset();
    if (heard) good_endpoint_ = seen.endpoint;
    last_handshake_ = seen.last_handshake;
    rx_bytes_ = seen.rx_bytes;
    tx_bytes_ = seen.tx_bytes;
    has_looked_ = true;
    return heard;
}

// The candidate after the one that was tried, beginning with the best.
std::optional<Endpoint> Candidates::next(const Sighting& seen, std::span<const Endpoint> ranked) {
    const size_t at = tries_ % ranked.size();
    ++tries_;
    if (seen.endpoint == ranked[at]) return std::nullopt;  // it is there already: only more time
    return ranked[at];
}

// The peer itself says that it is no longer where we send, so a live session does not count: its
// new place, on the same address if there is one. A roamed endpoint was never in the list.
std::optional<Endpoint> Candidates::moved_to(const Sighting& seen,
                                             std::span<const Endpoint> ranked) const {
    if (!seen.endpoint || ranked.empty()) return std::nullopt;
    const bool was_listed =
        std::find(ranked_.begin(), ranked_.end(), *seen.endpoint) != ranked_.end();
    const bool is_listed = std::find(ranked.begin(), ranked.end(), *seen.endpoint) != ranked.end();
    if (!was_listed || is_listed) return std::nullopt;
    const auto same = std::find_if(ranked.begin(), ranked.end(), [&](const Endpoint& one) {
        return one.address == seen.endpoint->address;
    });
    return same == ranked.end() ? ranked.front() : *same;
}

// Only an authentic packet moves the kernel's endpoint, and it counts as received
// (drivers/net/wireguard/receive.c): one that moved without was moved by somebody's hand.
std::optional<Endpoint> Candidates::look(const Sighting& seen, std::span<const Endpoint> ranked,
                                         const Moment& now) {
    const bool was_silent = seen.rx_bytes == rx_bytes_ && seen.last_handshake == last_handshake_;
    const bool is_tampered = endpoint_ && seen.endpoint != endpoint_ && was_silent;
    Sighting honest = seen;
    if (is_tampered) honest.endpoint = endpoint_;
    auto choice = decide(honest, ranked, now);
    endpoint_ = choice ? choice : honest.endpoint;
    return is_tampered ? endpoint_ : choice;
}

std::optional<Endpoint> Candidates::decide(const Sighting& seen, std::span<const Endpoint> ranked,
                                           const Moment& now) {
    const bool heard = watch(seen, now);
    const bool is_new_list =
        !std::equal(ranked.begin(), ranked.end(), ranked_.begin(), ranked_.end());
    const auto moved = is_new_list ? moved_to(seen, ranked) : std::nullopt;
    if (is_new_list) ranked_.assign(ranked.begin(), ranked.end());
    if (moved) {
        tries_ = 0;
        tried_at_ = now.boot;
        tx_at_try_ = seen.tx_bytes;
        return moved;
    }
    if (ranked.empty()) return std::nullopt;
    if (heard || is_live(now)) {
        tries_ = 0;
        // A path that ends gets one try's time to come back by itself.
        tried_at_ = now.boot;
        tx_at_try_ = seen.tx_bytes;
        return std::nullopt;
    }
    if (is_new_list || !tried_at_) {
        // Where the kernel has an endpoint it stays for one try: it may be the roamed, right one.
        // One that has worked gets the time of a keepalive, since the wall clock that says how long
        // ago that was may be wrong.
        tries_ = seen.endpoint == ranked.front() ? 1 : 0;
        tried_at_ = now.boot;
        if (seen.endpoint && seen.last_handshake) *tried_at_ += kKeepalive;
        tx_at_try_ = seen.tx_bytes;
        return seen.endpoint ? std::nullopt : next(seen, ranked);
    }
    const size_t cycle = std::min<size_t>(tries_ / ranked.size(), 8);
    const auto patience = std::min<std::chrono::seconds>(kFirstTry * (1 << cycle), kLongestTry);
    if (now.boot - *tried_at_ < patience) return std::nullopt;
    // Nothing was sent, so nothing was tried: an idle peer without keepalive is left in peace.
    if (!seen.has_keepalive && seen.tx_bytes == tx_at_try_) return std::nullopt;
    tried_at_ = now.boot;
    tx_at_try_ = seen.tx_bytes;
    return next(seen, ranked);
}

}  // namespace cvlan::reach
