// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/figures.h"

namespace cvlan::agent {

namespace {

// A peer that was made anew in between begins at nought.
uint64_t moved(uint64_t before, uint64_t now) { return now >= before ? now - before : now; }

}  // namespace

void TrafficSums::look(const std::vector<wg::Device>& devices) {
    Peers now;
    for (const wg::Device& device : devices)
        for (const wg::Peer& peer : device.peers) {
            const Seen seen{peer.rx_bytes, peer.tx_bytes, peer.last_handshake};
            const auto place = now.emplace(std::pair(device.name, peer.public_key), seen).first;
            const auto known = peers_.find(place->first);
            if (known == peers_.end() && !has_looked_) continue;
            const Seen before = known == peers_.end() ? Seen{} : known->second;
            rx_bytes_ += moved(before.rx_bytes, seen.rx_bytes);
            tx_bytes_ += moved(before.tx_bytes, seen.tx_bytes);
            if (seen.last_handshake && seen.last_handshake != before.last_handshake) ++handshakes_;
        }
    peers_ = std::move(now);
    has_looked_ = true;
}

void Figures::note(const reconcile::Round& round) {
    ++rounds;
    steps += round.plan.steps.size() - round.failures.size();
    steps_failed += round.failures.size();
}

}  // namespace cvlan::agent
