// SPDX-License-Identifier: Apache-2.0
#pragma once

// Finds the path to each peer that speaks path checks: reach::Paths and reach::Discovery with
// sockets, keys and the loop around them. It answers the checks of peers, and of nobody else; what
// it finds the agent writes to the kernel. Loop thread only.
//
// A peer whose path was just found and that has no session gets one at once: the kernel waits 5 s
// between two handshakes (REKEY_TIMEOUT), also where the first went nowhere, so the peer is made
// anew. The side with the lower key does it, the other one a second later if nothing has come by
// then: two handshakes that meet on their way undo each other.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/agent/check_messages.h"
#include "daemons/agent/path_sockets.h"
#include "daemons/agent/relay_seam.h"
#include "model/network_map.h"
#include "reach/discovery.h"
#include "reach/path_check.h"
#include "reach/paths.h"
#include "reconcile/kind_wireguard.h"

namespace cvlan::agent {

// An endpoint for the kernel.
struct PathWrite {
    PathKey key;
    Endpoint endpoint;
    bool is_anew = false;  // the peer is to be made anew, for a handshake at once
};

class Pathfinder {
public:
    struct Events {
        // Endpoints that the kernel should get, now.
        std::function<void(const std::vector<PathWrite>&)> write;
        // The kernel should be looked at: look() for each device before it returns.
        std::function<void()> observe;
        // One's own places are others, or what is known of the STUN servers.
        std::function<void()> on_change;
        // A path went silent and the NAT maps the port to another: it has forgotten what it knew,
        // connections of TCP too.
        std::function<void()> on_forgotten;
        // After each step: the needs of peers may be others.
        std::function<void()> on_step;
        // An answer of a relay to a bind request.
        std::function<void(const std::string& device, const Endpoint& from, const stun::Message&)>
            on_bind;
    };
    struct Network {
        std::string device;
        uint16_t port = 0;
        reconcile::DeviceKey key;
        std::shared_ptr<const model::NetworkMap> map;
        std::string network_id;
    };

    Pathfinder(EventLoop& loop, const Clock& clock, PathSockets& sockets, Events events);

    // The networks of this machine from now on; of each round.
    void follow(std::vector<Network> networks);
    void set_underlay(const reach::Underlay& underlay);
    void set_servers(const std::vector<Endpoint>& stun_servers);
    void set_relayed(const PathKey& key, const RelayedPlaces& places);
    // Where this machine can be reached itself: told to peers in checks.
    void set_places(const std::string& device, std::vector<Endpoint> places);
    // What the kernel says of the peers of a device; `is_live` by the agent's own watch.
    void look(const wg::Device& device, const std::function<bool(const PathKey&)>& is_live);

    // The same of a device whose peers are not the kernel's, but charon's.
    struct Sighted {
        wg::PublicKey key;
        reach::Sighting seen{};
        bool is_live = false;
    };
    void look(const std::string& device, const std::vector<Sighted>& peers);

    bool follows(const std::string& device) const { return devices_.contains(device); }
    bool speaks_checks(const PathKey& key) const;
    reach::Paths::View view(const PathKey& key) const;
    std::vector<PeerNeed> needs() const;

    // How the port of a device is seen from outside, where that is of use to others.
    std::vector<Endpoint> seen_from_outside(const std::string& device) const;
    // The STUN servers have not answered yet, and may within a moment.
    bool is_asking(const std::string& device) const;
    // All STUN servers are asked anew; until they have answered, or have not in time.
    void measure();
    bool is_measuring() const;
    // Whether a server that was lost is back; round_trip() tells.
    void probe(const Endpoint& server);
    // Nothing for a device that is not followed.
    std::optional<reach::Discovery::Result> discovered(const std::string& device,
                                                       Family family) const;
    std::optional<std::chrono::milliseconds> round_trip(const Endpoint& server) const;

private:
    struct Device {
        explicit Device(uint32_t seed) : v4(seed), v6(seed + 1) {}
        Network network;
        std::set<wg::PublicKey> peers;
        std::map<wg::PublicKey, reach::CheckKey> keys;  // of those it spoke with
        reach::Discovery v4, v6;
        reach::Discovery::Result told_v4, told_v6;
        BootTime asking_until{};
        std::vector<Endpoint> places;
        reach::Discovery& discovery(Family family) { return family == Family::V4 ? v4 : v6; }
        const reach::Discovery& discovery(Family family) const {
            return family == Family::V4 ? v4 : v6;
        }
    };
    struct Start {  // of a session, for a path that was found
        BootTime at{};
        std::chrono::milliseconds pause{0};
        uint64_t rx_bytes = 0;  // of the peer then
        int waits = 0;
        std::optional<BootTime> begun_at{};  // until it is known what became of it
    };
    struct Seen {  // of the peer in the kernel
        bool is_live = false;
        bool wants_session = false;  // by its keepalive, or for what it could not send
        uint64_t rx_bytes = 0;
        std::optional<Endpoint> endpoint{};
    };

    void came(const std::string& name, const reach::RawUdp::Incoming& datagram);
    void answer(Device& device, const reach::RawUdp::Incoming& datagram,
                const stun::Message& asked);
    void took_answer(Device& device, const Endpoint& from, const stun::Message& answer);
    const reach::CheckKey* key_of(Device& device, const wg::PublicKey& peer);
    void follow(Device& device, Network network);
    void drop(const PathKey& key);
    void set_servers(Device& device);
    bool has_servers(Family family) const;

    void serve_soon();
    void serve();
    void observe_if_due(BootTime now);
    void send_checks(BootTime now);
    void send_questions(BootTime now);
    void write(BootTime now);
    void note_discoveries(BootTime now);
    BootTime deadline(BootTime now) const;
    bool is_first_to_start(const PathKey& key) const;
    bool wants_start(BootTime now) const;
    std::chrono::milliseconds start_wait(const PathKey& key, BootTime now) const;
    bool is_to_start(const PathKey& key, Start& start, uint64_t rx_bytes, BootTime now) const;
    void want_session(const PathKey& key, const Endpoint& from, BootTime now);

    EventLoop& loop_;
    const Clock& clock_;
    PathSockets& sockets_;
    Events events_;
    reach::Paths paths_;
    reach::Transactions transactions_;
    std::map<std::string, Device> devices_;
    std::vector<Endpoint> servers_;
    reach::Underlay underlay_;
    OpenChecks open_;
    std::map<PathKey, Start> starts_;
    std::map<PathKey, Seen> seen_;
    Budget proofs_{4000};  // of requests that say they are a peer's
    Budget answers_{1000};
    std::optional<BootTime> served_at_;
    BootTime observed_at_{};
    std::optional<BootTime> doubted_at_;     // some path was silent
    BootTime observe_at_ = BootTime::max();  // after a write, to see what became of it
    bool is_changed_ = false;
    bool is_soon_ = false;
    Timer next_;
};

}  // namespace cvlan::agent
