// SPDX-License-Identifier: Apache-2.0
#include "maps/fragments.h"

#include "base/bytes.h"
#include "model/to_wire.h"

namespace cvlan::maps {

namespace wire = model::wire;

namespace {

wire::MapFragment fragment_of(const std::string& scope, wire::FragmentKind kind,
                              const std::string& id, int64_t revision) {
    wire::MapFragment fragment;
    fragment.scope = scope;
    fragment.kind = kind;
    fragment.id = id;
    fragment.revision = revision;
    return fragment;
}

// One node may leave several networks. RFC 9562 section 5.8: what a UUIDv8 is made of is ours.
std::string barring_id(const Barring& barring) {
    if (barring.network_id.empty()) return barring.node_id;
    std::string id = hex(sha256(as_bytes(barring.node_id + barring.network_id))).substr(0, 32);
    id[12] = '8';
    id[16] = '8';
    for (const size_t dash : {8, 13, 18, 23}) id.insert(dash, 1, '-');
    return id;
}

}  // namespace

wire::MapFragment network_fragment(const model::Network& network, int64_t revision) {
    auto fragment = fragment_of(network.id, wire::FragmentKind::Network, network.id, revision);
    auto& shown = fragment.network.emplace();
    shown.name = network.name;
    shown.mtu = network.mtu;
    if (network.ipv4) shown.ipv4 = network.ipv4->text();
    if (network.ipv6) shown.ipv6 = network.ipv6->text();
    // Left out where they are what a reader takes them for.
    if (network.data_plane != model::DataPlane::Wireguard)
        shown.data_plane = to_wire(network.data_plane);
    if (network.crypto_profile != model::CryptoProfile::Default)
        shown.crypto_profile = to_wire(network.crypto_profile);
    if (network.topology != model::Topology::Mesh) shown.topology = to_wire(network.topology);
    return fragment;
}

wire::MapFragment peer_fragment(const std::string& name, const model::Membership& membership,
                                int64_t revision) {
    auto fragment =
        fragment_of(membership.network_id, wire::FragmentKind::Peer, membership.node_id, revision);
    auto& shown = fragment.peer.emplace();
    shown.name = name;
    shown.data_plane = membership.ipsec ? wire::DataPlane::Ipsec : wire::DataPlane::Wireguard;
    if (membership.ipv4) shown.addresses.push_back(membership.ipv4->text());
    if (membership.ipv6) shown.addresses.push_back(membership.ipv6->text());
    if (!membership.wireguard_key.empty()) shown.wireguard_public_key = membership.wireguard_key;
    for (const Endpoint& endpoint : membership.endpoints)
        shown.endpoints.push_back(endpoint.text());
    if (!membership.relay_id.empty()) shown.relay_id = membership.relay_id;
    if (!membership.gateway) return fragment;
    shown.gateway = true;
    shown.routes = membership.routes;
    return fragment;
}

wire::MapFragment relay_fragment(const store::MapRelay& relay, int64_t revision) {
    const model::Object& object = relay.object;
    auto fragment = fragment_of(object.tenant_id, wire::FragmentKind::Relay, object.id, revision);
    auto& shown = fragment.relay.emplace();
    shown.name = object.name;
    shown.node_id = relay.node_id();
    if (!relay.region_id().empty()) shown.region_id = relay.region_id();
    if (!relay.region_name.empty()) shown.region = relay.region_name;
    shown.endpoints = object.endpoints;
    shown.stun_port = object.stun_port;
    return fragment;
}

wire::MapFragment connection_fragment(const model::Connection& connection, int64_t revision) {
    auto fragment =
        fragment_of(connection.network_id, wire::FragmentKind::Connection, connection.id, revision);
    auto& shown = fragment.connection.emplace();
    shown.name = connection.name;
    shown.remote_addresses = model::texts_of(connection.remote_addresses);
    shown.remote_identity = connection.remote_identity;
    shown.local_identity = connection.local_identity;
    shown.auth = connection.auth;
    if (!connection.remote_ca.empty()) shown.remote_ca = connection.remote_ca;
    shown.local_subnets = model::texts_of(connection.local_subnets);
    shown.remote_subnets = model::texts_of(connection.remote_subnets);
    shown.ike_proposals = connection.ike_proposals;
    shown.esp_proposals = connection.esp_proposals;
    shown.start = connection.start;
    shown.dpd_seconds = connection.dpd.count();
    shown.rekey_seconds = connection.rekey.count();
    shown.secret_revision = connection.secret_revision;
    return fragment;
}

wire::MapFragment barred_fragment(const Barring& barring) {
    auto fragment = fragment_of(barring.tenant_id, wire::FragmentKind::Barred, barring_id(barring),
                                barring.revision);
    auto& shown = fragment.barred.emplace();
    shown.node_id = barring.node_id;
    if (!barring.network_id.empty()) shown.network_id = barring.network_id;
    shown.until = barring.until;
    return fragment;
}

wire::MapFragment tombstone(const wire::MapFragment& of, int64_t revision) {
    auto fragment = fragment_of(of.scope, of.kind, of.id, revision);
    fragment.removed = true;
    return fragment;
}

wire::MapFragment peer_tombstone(const std::string& network_id, const std::string& node_id,
                                 int64_t revision) {
    return tombstone(fragment_of(network_id, wire::FragmentKind::Peer, node_id, 0), revision);
}

std::string key_of(wire::FragmentKind kind, const std::string& id) {
    return fmt::format("{} {}", text(kind), id);
}

}  // namespace cvlan::maps
