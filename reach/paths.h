// SPDX-License-Identifier: Apache-2.0
#pragma once

// The paths to all peers of this node: who is searched for and watched, within bounds. Pure.
//
// A network of up to kMostEager peers is searched as a whole, as soon as the map tells of a peer or
// of its new places: both sides do, so their checks open each other's NAT. In a larger one it is
// traffic, or the other side's check, that begins it. What has been quiet for three minutes keeps a
// record of a few bytes and is not probed beyond WireGuard's keepalive. No more than kPerSecond
// checks leave in a second, and no more than kMostWatched peers have check state.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernel-wg/keys.h"
#include "reach/candidates.h"
#include "reach/peer_path.h"

namespace cvlan::reach {

class Paths {
public:
    using Key = std::pair<std::string, wg::PublicKey>;  // device and peer

    static constexpr size_t kMostEager = 256;
    static constexpr size_t kMostWatched = 1024;
    static constexpr size_t kMostTold = 8;
    static constexpr int64_t kPerSecond = 512;
    static constexpr int64_t kAtOnce = 128;

    explicit Paths(uint32_t seed) : jitter_(seed) {}

    // Another underlay than before is another network: what talks is searched for afresh.
    void set_underlay(const Underlay& underlay, BootTime now);
    // Where relays are: a place there that nobody told of is a relay's, and no direct one.
    void set_relays(std::set<Address> relays) { relays_ = std::move(relays); }
    // The map's endpoints of a peer; a new peer is made.
    void set_peer(const Key& key, const std::vector<Endpoint>& endpoints, BootTime now);
    // The relayed places at which it can be reached now.
    void set_relayed(const Key& key, const std::vector<Candidate>& relayed, BootTime now);
    // Endpoints that the peer itself told of, in a check.
    void told(const Key& key, const std::vector<Endpoint>& endpoints, BootTime now);
    void remove(const Key& key);
    bool knows(const Key& key) const { return peers_.contains(key); }
    size_t size() const { return peers_.size(); }
    size_t watched() const { return watched_.size(); }

    // What the kernel says of it; `is_live`: a session of WireGuard stands.
    void look(const Key& key, const Sighting& seen, bool is_live, BootTime now);
    // An authentic check of the peer came from there.
    void asked(const Key& key, const Endpoint& from, BootTime now);
    // An authentic answer came. False where no check of ours stood open for it.
    bool answered(const Key& key, uint64_t token, const Endpoint& from, BootTime now);

    struct Check {
        Key key;
        Probe probe;
    };
    // The checks to send now. A call long after its deadline means that the machine slept.
    std::vector<Check> step(BootTime now);
    BootTime deadline() const;
    // Some path is silent or only lossy, and the kernel knows which.
    bool wants_look(BootTime now) const;

    // Endpoints that the kernel should get now; each is told once, and again if it was not taken.
    std::vector<std::pair<Key, Endpoint>> to_write(BootTime now);

    struct View {
        std::optional<Candidate> path{};  // none: not known to work
        std::optional<std::chrono::milliseconds> round_trip{};
        bool speaks_checks = false;  // otherwise the kernel's own tries have to do (Candidates)
        bool needs_relay = false;
        bool needs_pair = false;
    };
    View view(const Key& key, BootTime now) const;
    // Those that need a relay.
    std::vector<Key> in_need(BootTime now) const;
    // Somebody is searched for or talks: worth knowing one's own endpoints.
    bool is_awake() const { return !watched_.empty(); }

private:
    // What is kept of every peer.
    struct Peer {
        std::vector<Endpoint> listed{}, told{};
        std::vector<Candidate> relayed{};
        Sighting seen{};
        bool was_seen = false;
        bool is_live = false;
        bool speaks_checks = false;
        std::optional<BootTime> heard_at{};
        BootTime search_again{};  // of a silent one
        std::chrono::milliseconds search_pause{0};
        std::unique_ptr<PeerPath> watch{};
        BootTime due = BootTime::max();  // its place in due_
    };
    using Entry = std::pair<const Key, Peer>;  // of peers_: it stays where it is

    std::optional<Candidate> candidate(const Peer& peer, const Endpoint& endpoint) const;
    std::vector<Candidate> candidates_of(const Peer& peer) const;
    bool make_room(bool is_wanted, BootTime now);
    PeerPath* begin(Entry& entry, bool is_wanted, BootTime now);
    void offer(Entry& entry, BootTime now);
    void schedule(Entry& entry, BootTime at);
    void end(Entry& entry);
    void search_silent(Entry& entry, BootTime now);
    void search_all(BootTime now);
    void refill(BootTime now);
    bool is_small() const { return peers_.size() <= kMostEager; }

    Jitter jitter_;
    Underlay underlay_;
    std::set<Address> relays_;
    std::map<Key, Peer> peers_;
    std::set<Entry*> watched_;
    std::set<std::pair<BootTime, Entry*>> due_;
    BootTime full_until_{};  // nobody gives up his place before
    uint64_t token_ = 0;
    int64_t budget_ = kAtOnce * 1000;  // in thousandths of a check
    BootTime filled_at_{};
    std::optional<BootTime> stepped_at_;
};

}  // namespace cvlan::reach
