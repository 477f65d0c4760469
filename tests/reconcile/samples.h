// SPDX-License-Identifier: Apache-2.0
#pragma once

// A small network to test with: 10.100.0.0/24 and fd00:100::/64, this node .1, peer n has .n and
// key(n).

#include <string>
#include <vector>

#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "tests/support/fake_host.h"

namespace cvlan::reconcile::samples {

inline const std::string kNetwork = "0190c1a0-0000-7000-8000-000000000001";
inline const std::string kOther = "0190c1a0-0000-7000-8000-000000000002";
inline const std::string kDevice = device_name(kNetwork);
inline const std::string kOtherDevice = device_name(kOther);
inline const std::string kXfrmDevice = xfrm_device_name(kNetwork);

inline Address address(const std::string& text) { return *Address::parse(text); }
inline Prefix prefix(const std::string& text) { return *Prefix::parse(text); }
inline Endpoint endpoint(const std::string& text) { return *Endpoint::parse(text); }

inline wg::PublicKey key(uint32_t n) {
    std::array<uint8_t, wg::kKeySize> bytes{};
    bytes[0] = static_cast<uint8_t>(n >> 8);
    bytes[1] = static_cast<uint8_t>(n);
    bytes[2] = 7;
    return wg::PublicKey(bytes);
}

inline DeviceKey device_key(uint8_t n) {
    wg::PrivateKey key;
    key.writable()[0] = 8;
    key.writable()[1] = n;
    key.writable()[31] = 64;
    return *DeviceKey::of(std::move(key));
}

inline model::MapPeer map_peer(uint32_t n) {
    model::MapPeer peer;
    peer.node_id = fmt::format("node-{}", n);
    peer.name = peer.node_id;
    peer.addresses = {address("10.100.0.0").plus(n), address("fd00:100::").plus(n)};
    peer.wireguard_key = key(n).text();
    peer.endpoints = {Endpoint{address("192.0.2.0").plus(n), 51820}};
    return peer;
}

inline model::MapNetwork map_network(const std::vector<uint32_t>& peers) {
    model::MapNetwork network;
    network.id = kNetwork;
    network.name = "lan";
    network.ipv4 = prefix("10.100.0.0/16");
    network.ipv6 = prefix("fd00:100::/64");
    network.self = map_peer(1);
    network.self.wireguard_key = device_key(1).public_key().text();
    for (uint32_t n : peers) network.peers[map_peer(n).node_id] = map_peer(n);
    return network;
}

inline model::MapNetwork other_network() {
    model::MapNetwork network;
    network.id = kOther;
    network.name = "v4";
    network.ipv4 = prefix("10.200.0.0/24");
    network.self.node_id = "node-1";
    network.self.addresses = {address("10.200.0.1")};
    return network;
}

inline model::NetworkMap map_of(std::vector<model::MapNetwork> networks) {
    model::NetworkMap map;
    for (auto& network : networks) map.networks[network.id] = std::move(network);
    return map;
}

inline NodeConfig self() {
    NodeConfig self;
    self.networks[kNetwork] = {.index = 0, .key = device_key(1), .listen_port = 51820};
    self.networks[kOther] = {.index = 1, .key = device_key(2), .listen_port = 51821};
    return self;
}

inline Desired want_peers(const std::vector<uint32_t>& peers) {
    return desired_state(map_of({map_network(peers)}), self());
}

// The network over IPsec.
inline Desired want_ipsec(uint32_t index) {
    NodeConfig config = self();
    config.networks[kNetwork].ipsec = true;
    config.networks[kNetwork].index = index;
    return desired_state(map_of({map_network({2, 3})}), config);
}

}  // namespace cvlan::reconcile::samples
