// SPDX-License-Identifier: Apache-2.0
#pragma once

// What charon should hold for this machine: its identities, and a connection a peer with a CHILD_SA
// a network. Pure. Names are charon's, see vici/config.h.
//
// A peer is known by its certificate alone: its DNS name, signed by the tenant's controller.
// Addresses only say where to look for it, so one that moved, or is behind a NAT, is let in.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/secret.h"
#include "vici/config.h"
#include "vici/sa.h"

namespace cvlan::ike {

using vici::Seconds;

// Of all our connections; whatever is called otherwise is foreign, and never touched.
inline constexpr std::string_view kPrefix = "cvlan-";

// RFC 3948: where IKE goes once there is a NAT, and ESP with it.
inline constexpr uint16_t kPort = 500;
inline constexpr uint16_t kNatPort = 4500;

// Who this node is to the peers of one tenant.
struct Identity {
    std::string name{};  // of its certificate (DNS)
    std::string node_id{};
    std::vector<std::string> certificates{};  // PEM; its own first, then those above it
    SecretText key{};                         // PEM
    std::vector<std::string> roots{};         // PEM
};

// A network that this node shares with a peer.
struct Shared {
    std::string network_id{};
    uint32_t if_id = 0;  // of its xfrm interface
    std::vector<Address> own{};
    std::vector<Address> theirs{};
    bool approved_only = false;  // algorithms that FIPS 140-3 approves, and no others
};

struct Peer {
    std::string node_id{};
    std::string name{};               // of its certificate (DNS)
    std::vector<Address> underlay{};  // where it may be, best first; none: it has to come to us
    // Where its port for NAT-T (RFC 3948) has answered a check of ours: behind a NAT, or at a
    // relay.
    std::optional<Endpoint> path{};
    std::vector<Shared> networks{};
};

struct Times {
    Seconds rekey{3600};  // of a CHILD_SA; an IKE_SA has four times as long
    Seconds idle{900};    // then a tunnel goes, and comes back with the next packet
};

// A peer's tunnel as charon is told it.
struct Tunnel {
    vici::Connection connection{};
    // Both ends may set one up at once. The end with the lower node id then keeps the one that it
    // began, and so does the other.
    bool keeps_own = false;
    size_t places = 0;               // how many addresses of the peer there are to try
    std::optional<Endpoint> path{};  // as the peer's
    // Of the IKE_SA, where one of the networks says so; of the CHILD_SAs of these.
    bool approved_only = false;
    std::set<std::string> approved_only_children{};
};

struct Wanted {
    std::vector<Identity> identities{};
    std::map<std::string, Tunnel> tunnels{};  // by the connection's name
    // "connection", "child": to be set up now, not with the first packet.
    std::set<std::pair<std::string, std::string>> bring_up{};
    // What in the kernel is ours: if_ids from here on, so many. Of a network that is wanted no
    // more, too: what an earlier charon left of it has to go.
    uint32_t first_if_id = 0;
    uint32_t if_ids = 0;
    bool is_ours(uint32_t if_id) const {
        return if_id >= first_if_id && if_id - first_if_id < if_ids;
    }
};

std::string connection_name(std::string_view peer_node_id);
// Of a CHILD_SA, the same at each start: states that outlive a charon go on matching the policies
// of the next one. Two peers may have one reqid: the kernel looks at the tunnel's ends too.
uint32_t reqid_of(std::string_view network_id, std::string_view peer_node_id);

Tunnel tunnel_to(const Identity& own, const Peer& peer, const Times& times);

// What of an SA is not among the approved algorithms ("CURVE_25519"); empty: all of it is.
std::string unapproved(const vici::IkeSa& sa);
std::string unapproved(const vici::ChildSa& sa);

// The connection when its first `tries` places have not answered: charon calls the first one alone.
vici::Connection turned(const Tunnel& tunnel, size_t tries);

}  // namespace cvlan::ike
