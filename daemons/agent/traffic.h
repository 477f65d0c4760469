// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel's WireGuard has carried, by network, since its device was looked at first. A
// peer's counter that went back counts from zero: it was taken away and is there again. What was
// carried while nobody looked, before an agent's start, is not counted.

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kernel-wg/types.h"
#include "model/network_map.h"

namespace cvlan::agent {

class Traffic {
public:
    explicit Traffic(const Clock& clock) : clock_(clock) {}

    void look(const std::string& network_id, const wg::Device& device);
    // One that is not in the map is forgotten, and begins anew when it is there again.
    void keep_those_of(const model::NetworkMap& map);
    std::vector<model::wire::TrafficReport> told() const;

private:
    struct Counters {
        uint64_t received = 0;
        uint64_t sent = 0;
    };
    struct Network {
        WallTime since{};
        std::map<wg::PublicKey, Counters> peers{};  // as they were seen last
        Counters total{};
    };

    const Clock& clock_;
    std::map<std::string, Network> networks_;
};

}  // namespace cvlan::agent
