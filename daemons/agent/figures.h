// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an agent counts, beside what it knows anyway. Never by peer: a network may have thousands.
// Loop thread only.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "kernel-wg/types.h"
#include "reconcile/reconciler.h"

namespace cvlan::agent {

// The kernel counts by peer, and forgets with the peer: what all of them have moved since this
// program started, without steps back.
class TrafficSums {
public:
    // The first look tells where each peer stood.
    void look(const std::vector<wg::Device>& devices);

    uint64_t rx_bytes() const { return rx_bytes_; }
    uint64_t tx_bytes() const { return tx_bytes_; }
    uint64_t handshakes() const { return handshakes_; }

private:
    struct Seen {
        uint64_t rx_bytes = 0;
        uint64_t tx_bytes = 0;
        std::optional<WallTime> last_handshake{};
    };
    using Peers = std::map<std::pair<std::string, wg::PublicKey>, Seen>;

    bool has_looked_ = false;
    Peers peers_;
    uint64_t rx_bytes_ = 0;
    uint64_t tx_bytes_ = 0;
    uint64_t handshakes_ = 0;
};

struct Figures {
    uint64_t rounds = 0;
    uint64_t rounds_failed = 0;  // the kernel could not be read
    uint64_t steps = 0;
    uint64_t steps_failed = 0;
    uint64_t drift = 0;     // steps that put right what somebody else had changed
    TrafficSums traffic{};  // looked at where metrics are served

    void note(const reconcile::Round& round);
};

}  // namespace cvlan::agent
