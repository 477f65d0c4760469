// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the maps hold of a tenant. Only maps includes it.

#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include "maps/maps.h"

namespace cvlan::maps {

struct Maps::Fragment {
    int64_t revision = 0;
    bool removed = false;
    std::string key;                          // kind and id
    std::shared_ptr<const std::string> json;  // SignedBytes, as it goes over the wire
};

// The fragments that the same nodes hear of.
struct Maps::Shelf {
    using Shared = std::shared_ptr<const Fragment>;
    // In order of change; a look is by revision alone.
    struct Older {
        using is_transparent = void;
        bool operator()(const Shared& a, const Shared& b) const {
            return std::tie(a->revision, a->key) < std::tie(b->revision, b->key);
        }
        bool operator()(int64_t a, const Shared& b) const { return a < b->revision; }
    };
    std::unordered_map<std::string, Shared> current;  // by key
    std::set<Shared, Older> by_revision;              // the same
    size_t tombstones = 0;
    int64_t floor = 0;  // what was removed before is not known any more

    void put(Shared fragment);
    const Fragment* live(const std::string& key) const;  // null where there is none

private:
    void forget_tombstones();
};

struct Maps::Network : Shelf {
    model::Network network;  // as it was published last
    size_t members = 0;
    std::set<std::string> gateways;  // its vrouter's node; two while that moves
    Shelf connections;               // for them alone
};

struct Maps::Node {
    std::set<std::string> networks;
    std::set<std::string> gateway_of;  // of these
    bool is_in = false;                // it waits for no approval
    bool is_relay = false;
    int64_t networks_changed_at = 0;  // a map from before is answered in full
    std::optional<WallTime> head_issued_at;
};

// A relay as the store has it, and what of it was published last: empty where nothing is.
struct Maps::Relay {
    store::MapRelay relay;
    std::string shown;
};

struct Maps::Tenant {
    std::string id;
    int64_t epoch = 1;
    int64_t revision = 0;
    int64_t loaded_at = 0;  // the revision that load() was given
    bool is_held_back = false;
    model::MapExpiry map_expiry = model::MapExpiry::Keep;
    std::unordered_map<std::string, Network> networks;
    std::unordered_map<std::string, Node> nodes;

    std::set<std::string> relay_nodes;              // those that are relays, and in
    std::unordered_map<std::string, Relay> relays;  // all there are
    Shelf relay_shelf;                              // of those that can be used; for every node
    Shelf barred_shelf;                             // for relays alone
    std::unordered_map<std::string, std::string> connections;  // to their networks
    struct End {
        WallTime until{};
        model::wire::MapFragment of;
    };
    std::deque<End> ends;  // of what is on the barred shelf, in the order of their coming

    // By networks and since; null where nothing is new. Until the next change of a map.
    std::unordered_map<std::string, std::shared_ptr<const std::string>> deltas;

    Shelf& shelf_of(const model::wire::MapFragment& fragment);
};

struct Maps::Update {
    Tenant& tenant;
    int64_t revision = 0;
    Touched touched{};
    bool touches_all = false;  // each node
    bool touches_relays = false;
};

}  // namespace cvlan::maps
