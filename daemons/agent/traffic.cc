// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/traffic.h"

#include <algorithm>

namespace cvlan::agent {

namespace {

// As much and as many as a controller takes (api/openapi.yaml).
constexpr uint64_t kMostBytes = uint64_t{1} << 60;
constexpr size_t kMostNetworks = 1000;

uint64_t grown(uint64_t before, uint64_t now) { return now < before ? now : now - before; }

int64_t told_as(uint64_t bytes) { return static_cast<int64_t>(std::min(bytes, kMostBytes)); }

}  // namespace

void Traffic::look(const std::string& network_id, const wg::Device& device) {
    const auto [at, is_first] = networks_.try_emplace(network_id);
    Network& network = at->second;
    if (is_first) network.since = clock_.now();
    std::map<wg::PublicKey, Counters> peers;
    for (const wg::Peer& peer : device.peers) {
        const Counters now{peer.rx_bytes, peer.tx_bytes};
        peers[peer.public_key] = now;
        if (is_first) continue;
        const Counters before = network.peers[peer.public_key];
        network.total.received += grown(before.received, now.received);
        network.total.sent += grown(before.sent, now.sent);
    }
    network.peers = std::move(peers);
}

void Traffic::keep_those_of(const model::NetworkMap& map) {
    std::erase_if(networks_, [&](const auto& one) { return !map.networks.contains(one.first); });
}

std::vector<model::wire::TrafficReport> Traffic::told() const {
    std::vector<model::wire::TrafficReport> all;
    for (const auto& [id, network] : networks_) {
        if (all.size() == kMostNetworks) break;
        model::wire::TrafficReport& one = all.emplace_back();
        one.network_id = id;
        one.counted_since = network.since;
        one.received_bytes = told_as(network.total.received);
        one.sent_bytes = told_as(network.total.sent);
    }
    return all;
}

}  // namespace cvlan::agent
