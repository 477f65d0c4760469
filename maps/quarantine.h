// SPDX-License-Identifier: Apache-2.0
#pragma once

// Objects that the database holds and no map can: somebody's hand, or a fault of ours, made them
// so. Each is left out with its reason, and spoils nothing else. For several threads.

#include <compare>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/objects.h"

namespace cvlan::maps {

// A network, or a node's place in one.
struct Place {
    std::string tenant_id;
    std::string network_id;
    std::string node_id{};  // empty: the network itself
    auto operator<=>(const Place&) const = default;
};

struct Quarantined {
    Place place;
    std::string reason;
    WallTime since{};
};

// Why an object can be in no map; nullopt where it can.
std::optional<std::string> fault_of(const model::Network& network);
// `network` is the one that the membership is in.
std::optional<std::string> fault_of(const std::string& node_name,
                                    const model::Membership& membership,
                                    const model::Network& network);

class Quarantine {
public:
    // Without a reason it is let out. True where that is news.
    bool put(const Place& place, const std::optional<std::string>& reason, WallTime now);
    bool has(const Place& place) const;
    void erase_node(const std::string& tenant_id, const std::string& node_id);
    void erase_tenant(const std::string& tenant_id);
    std::vector<Quarantined> list(const std::optional<std::string>& tenant_id) const;
    size_t size() const;

private:
    mutable std::mutex mutex_;
    std::map<Place, Quarantined> objects_;
};

}  // namespace cvlan::maps
