// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which relay is a node's home, where its peers find it: the nearest that works, and not another
// one for every wobble of a round trip. Pure.

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"

namespace cvlan::agent {

class HomeRelay {
public:
    // One that is down for so long is left, and not gone to, until a session there has stood: that
    // time has passed proves nothing.
    static constexpr std::chrono::milliseconds kDownFor{2'000};
    // Another one becomes home when it was nearer by a quarter, and by 10 ms, for so long.
    static constexpr std::chrono::milliseconds kNearerFor{60'000};
    static constexpr std::chrono::milliseconds kLeastGain{10};

    struct Relay {
        std::string id;
        std::optional<std::chrono::milliseconds> round_trip{};
        std::optional<BootTime> down_since{};  // a session is wanted there, and is not up
        bool is_proven = false;                // there is one that is answered and may be used
    };
    // `relays` in the order in which they are preferred where nothing is known of their distance.
    // Empty: there is none.
    const std::string& choose(const std::vector<Relay>& relays, BootTime now);
    const std::string& id() const { return id_; }
    // It was down, and nothing has proved the contrary. Where home is, so are all others.
    bool is_left(const std::string& id) const { return left_.contains(id); }
    // What was known is of another network.
    void network_changed();

private:
    void note_lives(const std::vector<Relay>& relays, BootTime now);
    const Relay* nearest(const std::vector<Relay>& relays) const;
    bool is_nearer(const Relay& other, const Relay& home, BootTime now);

    std::string id_;
    std::set<std::string> left_;
    std::optional<BootTime> nearer_since_;
};

// A tenant's relays in an order that differs from node to node, so that nodes which can not measure
// are not all at the same one.
std::vector<std::string> order_of(std::vector<std::string> relay_ids, const std::string& node_id);

}  // namespace cvlan::agent
