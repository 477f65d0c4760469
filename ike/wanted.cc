// SPDX-License-Identifier: Apache-2.0
#include "ike/wanted.h"

#include <algorithm>

#include "base/bytes.h"
#include "model/ike_proposal.h"

namespace cvlan::ike {

namespace {

constexpr Seconds kDpdDelay{15};
constexpr uint32_t kReplayWindow = 1024;  // packets; several queues put them out of order

using model::ProposalFor;

std::string proposal(ProposalFor use, bool approved_only) {
    return std::string(model::default_proposal(use, approved_only));
}

vici::Texts selectors(const std::vector<Address>& addresses) {
    vici::Texts out;
    for (const Address& address : addresses) out.push_back(Prefix::host(address).text());
    return out;
}

vici::Child child_of(const Shared& network, const Peer& peer, const Times& times) {
    vici::Child child{.name = network.network_id};
    child.esp_proposals = {proposal(ProposalFor::Esp, network.approved_only)};
    child.local_ts = selectors(network.own);
    child.remote_ts = selectors(network.theirs);
    child.mode = "tunnel";
    child.start_action = peer.underlay.empty() && !peer.path ? "none" : "trap";
    child.rekey_time = times.rekey;
    child.life_time = times.rekey + std::max(times.rekey / 4, Seconds(5));
    child.rand_time = times.rekey / 10;
    child.inactivity = times.idle;
    child.reqid = reqid_of(network.network_id, peer.node_id);
    child.if_id_in = child.if_id_out = network.if_id;
    child.replay_window = kReplayWindow;
    // What is too long for a hop that tells nobody goes in fragments, as WireGuard's does.
    child.copy_df = false;
    return child;
}

// Who answers at the usual port is called as everybody is, there first. Another port is called from
// our own one for NAT-T: it is this one that the peer's NAT, or the relay, lets in. charon sends to
// such a port with the marker of RFC 3948, and does not go over to 4500.
size_t add_places(const Peer& peer, vici::Connection& to) {
    const bool is_usual = !peer.path || peer.path->port == kNatPort;
    if (peer.path) to.remote_addrs.push_back(peer.path->address.text());
    for (const Address& address : peer.underlay)
        if (is_usual && !(peer.path && address == peer.path->address))
            to.remote_addrs.push_back(address.text());
    const size_t places = to.remote_addrs.size();
    to.remote_addrs.emplace_back("%any");
    if (!is_usual) {
        to.local_port = kNatPort;
        to.remote_port = peer.path->port;
    }
    return places;
}

}  // namespace

std::string connection_name(std::string_view peer_node_id) {
    return std::string(kPrefix).append(peer_node_id);
}

uint32_t reqid_of(std::string_view network_id, std::string_view peer_node_id) {
    const Bytes hash = sha256(as_bytes(std::string(network_id).append(peer_node_id)));
    uint32_t number = 0;
    for (size_t i = 0; i < sizeof number; ++i) number = number << 8 | hash[i];
    return (number & 0x3fffffff) | 0x40000000;  // charon's own count up from 1
}

Tunnel tunnel_to(const Identity& own, const Peer& peer, const Times& times) {
    Tunnel tunnel;
    tunnel.keeps_own = own.node_id < peer.node_id;
    tunnel.path = peer.path;
    vici::Connection& connection = tunnel.connection;
    connection.name = connection_name(peer.node_id);
    connection.local_addrs = {"%any"};
    tunnel.places = add_places(peer, connection);
    for (const Shared& network : peer.networks)
        if (network.approved_only) tunnel.approved_only_children.insert(network.network_id);
    tunnel.approved_only = !tunnel.approved_only_children.empty();
    connection.proposals = {proposal(ProposalFor::Ike, tunnel.approved_only)};
    connection.mobike = true;
    connection.dpd_delay = kDpdDelay;
    connection.unique = "no";  // which of two stays is plan()'s; a peer that has restarted says so
    connection.send_cert = "always";
    connection.rekey_time = 4 * times.rekey;
    vici::Auth& local = connection.local.emplace_back();
    local.id = "fqdn:" + own.name;
    local.certs = {own.certificates.front()};
    vici::Auth& remote = connection.remote.emplace_back();
    remote.id = "fqdn:" + peer.name;
    remote.cacerts = own.roots;
    for (const Shared& network : peer.networks)
        connection.children.push_back(child_of(network, peer, times));
    return tunnel;
}

namespace {

bool is_approved_cipher(std::string_view algorithm, uint32_t keysize) {
    return algorithm.starts_with("AES_GCM_16") && keysize == 256;
}
bool is_approved_group(std::string_view group) { return group == "ECP_384" || group == "ECP_256"; }

}  // namespace

std::string unapproved(const vici::IkeSa& sa) {
    if (!is_approved_cipher(sa.encr_alg, sa.encr_keysize)) return sa.encr_alg;
    if (sa.prf_alg != "PRF_HMAC_SHA2_384") return sa.prf_alg;
    return is_approved_group(sa.dh_group) ? "" : sa.dh_group;
}

// The first CHILD_SA of an IKE_SA has its keys from that one's group, and none of its own.
std::string unapproved(const vici::ChildSa& sa) {
    if (!is_approved_cipher(sa.encr_alg, sa.encr_keysize)) return sa.encr_alg;
    return sa.dh_group.empty() || is_approved_group(sa.dh_group) ? "" : sa.dh_group;
}

vici::Connection turned(const Tunnel& tunnel, size_t tries) {
    vici::Connection connection = tunnel.connection;
    if (tunnel.places < 2) return connection;
    auto& places = connection.remote_addrs;
    const auto by = static_cast<std::ptrdiff_t>(tries % tunnel.places);
    std::rotate(places.begin(), places.begin() + by,
                places.begin() + static_cast<std::ptrdiff_t>(tunnel.places));
    return connection;
}

}  // namespace cvlan::ike
