// SPDX-License-Identifier: Apache-2.0
#pragma once

// What RelayLinks is made of: tenants with their relays (relay_links.cc), and peers with their
// routes, places and pairs (relay_peers.cc).

#include <map>
#include <set>

#include "base/warnings.h"
#include "daemons/agent/home_relay.h"
#include "daemons/agent/loopback.h"
#include "daemons/agent/pairing.h"
#include "daemons/agent/relay_links.h"
#include "http/tls.h"
#include "reach/trial.h"

namespace cvlan::agent {

// A peer that was used is still connected to for so long, and a relay that nobody needs is.
inline constexpr std::chrono::seconds kUsedFor{60};
// A pair is kept for so long after the direct path stands.
inline constexpr std::chrono::seconds kPairKept{30};
// A relay at which a peer was not found is not the first choice for it for so long.
inline constexpr std::chrono::seconds kGoneFor{5};
// After a relay has refused or ended a pair.
inline constexpr std::chrono::seconds kPairPause{5};
inline constexpr std::chrono::seconds kRefusedPairPause{60};
// The first home waits for round trips no longer than this.
inline constexpr std::chrono::milliseconds kFirstChoice{700};
// Where no relay answers by UDP, the distance of some is measured by TLS: from when to when.
inline constexpr std::chrono::seconds kProbeAfter{2};
inline constexpr std::chrono::seconds kProbeUntil{75};
inline constexpr size_t kMostProbes = 4;
inline constexpr size_t kMostLinks = 32;  // a tenant
// A relay that is down is asked by STUN so often, and connected to within so long once it answers.
inline constexpr std::chrono::milliseconds kProbeEvery{5'000};
inline constexpr std::chrono::milliseconds kReturn{5'000};

struct RelayLinks::State {
    struct Link {
        model::MapRelay relay;
        std::unique_ptr<relay::Client> client{};  // none: it is not in use
        std::set<wg::PublicKey> granted{};        // our keys that it knows
        std::map<wg::PublicKey, BootTime> gone{};
        std::optional<BootTime> down_since{};  // or silent since, or of no use
        BootTime wanted_at{0};
        BootTime pairs_again{0};
        bool was_deaf = false;  // it answered no STUN since it went down
        BootTime probe_at{0};
    };
    // Of a peer in the map, which holds it.
    struct Known {
        const RelayMember::Network* network = nullptr;
        const model::MapPeer* peer = nullptr;
    };
    struct Tenant {
        RelayMember member;
        std::shared_ptr<const http::ClientTls> tls{};
        std::unique_ptr<Grants> grants{};
        HomeRelay home{};
        std::string reported{};  // home, once it could be used
        std::vector<std::string> order{};
        std::map<std::string, Link> links{};  // all relays of the map, by id
        std::map<wg::PublicKey, Known> known{};
        std::optional<BootTime> first_at{};     // that there were relays
        std::optional<BootTime> known_since{};  // that there are peers
        std::string memberships() const;
    };
    struct Peer {
        Tenant* tenant = nullptr;
        Known known{};
        bool needs_relay = false;
        bool needs_pair = false;
        BootTime used_at{0};
        BootTime pair_needed_at{0};
        Endpoint loopback{};
        std::string pair_relay{};  // that was asked for the pair; empty: none
        relay::PairOf pair{};
        Pairing pairing{};
        BootTime pair_again{0};
        RelayedPlaces told{};
        BootTime muted_until{0};  // its packets of WireGuard
    };
    using PeerEntry = std::pair<const PathKey, Peer>;

    State(EventLoop& on, const Clock& now, RelayLinks::Options what, RelaySeam to);

    // relay_links.cc
    void soon();
    void step();
    void wait_for_next(BootTime now);
    void set_members(std::vector<RelayMember> members);
    bool take(Tenant& tenant, RelayMember member);
    void take_certificate(Tenant& tenant, const RelayMember& member);
    void take_relays(Tenant& tenant);
    void choose_home(Tenant& tenant, BootTime now);
    std::optional<std::chrono::milliseconds> udp_round_trip(const model::MapRelay& relay) const;
    bool is_deaf(const Tenant& tenant) const;
    std::set<std::string> wanted_links(Tenant& tenant, BootTime now) const;
    void open_links(Tenant& tenant, BootTime now);
    void open(Tenant& tenant, Link& link, BootTime now);
    std::vector<Endpoint> ways_to(const model::MapRelay& relay) const;
    void look_for(Link& link, BootTime now);
    void follow_life(relay::ClientEvents& events, Link& link);
    void refused(Tenant& tenant, Link& link, relay::Fault code);
    relay::ClientEvents events_of(Tenant& tenant, Link& link);

    // relay_peers.cc
    bool open_loopback();
    Peer* peer_at(const PathKey& key);  // makes one; nullptr: it is in no map
    void take_peers(Tenant& tenant);
    bool still_knows(const Tenant& tenant, const PathKey& key, Peer& peer);
    void forget_peers_of(const Tenant& tenant);
    void note_needs();
    const Link* route(const Peer& peer, const wg::PublicKey& key) const;
    bool can_carry(const Link& link, const Peer& peer) const;
    void from_device(const PathKey& key, ByteView packet);
    void from_relay(Tenant& tenant, const wg::PublicKey& source, ByteView packet);
    void tell_places(BootTime now);
    const std::string& relay_of_pair(const Peer& peer) const;
    void step_pair(PeerEntry& entry, BootTime now);
    void end_pair(Peer& peer, BootTime again);
    Peer* peer_of_pair(Tenant& tenant, const relay::PairOf& pair, const Link& link);
    void pairs_refused(Tenant& tenant, Link& link);
    bool is_active(const Peer& peer, BootTime now) const;

    EventLoop& loop;
    const Clock& clock;
    Warnings warnings{clock};
    reach::Jitter jitter;
    RelayLinks::Options options;
    RelaySeam seam;
    std::map<std::string, std::unique_ptr<Tenant>> tenants;
    std::map<PathKey, Peer> peers;  // those that were ever needed or heard of
    std::vector<PeerNeed> needs;
    std::unique_ptr<Loopback> loopback;
    std::string loopback_trouble;
    uint16_t loopback_port = 0;  // as preferred
    std::optional<reach::Nat64> nat64;
    bool is_measured = false;
    bool is_changed = false;  // on_changed is to be called
    Timer next;
};

}  // namespace cvlan::agent
