// SPDX-License-Identifier: Apache-2.0
#pragma once

// This machine's sessions with relays: which relays are in use, which one is home, and what they
// carry for which peer. Packets of the kernel's WireGuard come and go through Loopback; UDP pairs
// (Pairing) need this process only to be set up. Loop thread only.
//
// Home is known, and told, as soon as there is a relay that answers. While some peer is in the map
// there is a session with it, so that the first packet has a way at once. With another relay there
// is one while a peer whose home that is needs it. Two nodes speak by the home of whoever receives;
// where that can not be reached, by one's own, since the other side holds a session there to
// answer.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/agent/grants.h"
#include "daemons/agent/relay_seam.h"
#include "model/network_map.h"
#include "reach/nat64.h"
#include "relay/client.h"
#include "stun/message.h"

namespace cvlan::agent {

// An identity, as far as relays are concerned.
struct RelayMember {
    std::string tenant_id;
    std::string node_id;
    std::string trust_domain;
    std::shared_ptr<const model::NetworkMap> map{};
    std::string certificate_pem{};  // another one: credentials() are asked for again
    std::function<Credentials()> credentials{};
    Grants::Call call{};   // to this identity's controller
    std::string folder{};  // where its grants are kept; empty: nowhere
    struct Network {
        std::string network_id;
        std::string device;
        wg::PublicKey own{};
        uint16_t port = 0;  // on which the device listens
        bool operator==(const Network&) const = default;
    };
    std::vector<Network> networks{};
};

// A relay of the map, for people.
struct RelayView {
    std::string tenant_id;
    std::string id;
    std::string name;
    std::string region;
    bool is_home = false;
    std::optional<std::chrono::milliseconds> udp{};
    std::optional<std::chrono::milliseconds> tls{};  // of a session that stands
};

class RelayLinks {
public:
    struct Options {
        std::optional<relay::HttpProxy> proxy{};
        uint32_t fwmark = 0;
        uint32_t seed = 1;
    };
    RelayLinks(EventLoop& loop, const Clock& clock, Options options, RelaySeam seam);
    ~RelayLinks();

    // The port of lo that the kernel may still have for relayed peers; what is taken meanwhile is
    // another. 0: none was used yet.
    void prefer_port(uint16_t port);
    uint16_t port() const;

    // Each only notes what it is told; what follows from it, the seam's calls but round_trip()
    // included, is done when the loop comes round.
    void set_members(std::vector<RelayMember> members);  // cheap where nothing has changed
    void set_needs(std::vector<PeerNeed> needs);
    // By which relays' IPv4 addresses are reached, but for a proxy; from the next connection on.
    void set_nat64(const std::optional<reach::Nat64>& nat64);
    void measured();  // round trips of STUN servers are new, or it is known that none answers
    void network_changed();
    void measure();  // the round trips of sessions
    // The kernel sends to a peer with a session by another way from now on. What is still under way
    // through TLS would have it roam back, and the other side with it, to and fro: it is dropped
    // for a moment.
    void moved(const PathKey& peer, const Endpoint& to);
    // A message of method Bind that came to the port of this device.
    void took_bind(const std::string& device, const Endpoint& from, const stun::Message& message);

    std::vector<Endpoint> stun_servers() const;
    // Where peers find this identity: a relay's id, or none.
    std::optional<std::string> home_relay(const std::string& tenant_id) const;
    // The relay that carries what is sent to `in_use`, a place of on_relayed.
    std::optional<RelayName> name_of(const PathKey& peer, const Endpoint& in_use) const;
    std::vector<RelayView> relays() const;  // nearest first

    // What is due; it is called by the loop. Tests call it after they moved their clock.
    void step();

    struct State;

private:
    std::unique_ptr<State> state_;
};

}  // namespace cvlan::agent
