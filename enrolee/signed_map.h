// SPDX-License-Identifier: Apache-2.0
#pragma once

// The signed map of one identity: the last head and its fragments, as the controller signed them,
// in memory and in `<folder>/map.json` (a FULL wire::NodeMap). Everything is verified when it
// arrives and again when it is read back. What a map says is for others to make of it (model's
// build_map and build_relay_map). Loop thread only.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/wire.h"
#include "pki/keys.h"

namespace cvlan::enrolee {

namespace wire = model::wire;

struct MapOwner {
    std::string tenant_id;
    std::string node_id;
};

class SignedMap {
public:
    SignedMap(std::string folder, MapOwner owner, std::vector<pki::VerifyKey> keys);

    // NotFound if there is none, Malformed if both generations are damaged. A map that was read but
    // is not signed by our keys or not ours is Denied.
    struct Loaded {
        bool used_previous = false;
    };
    Result<Loaded> load();

    // Takes an answer of the controller whole or not at all. Denied: a signature, an owner, or a
    // revision below the one we have; Conflict: a delta that does not fit what we have, so that a
    // full map must be asked for. False: nothing new in it.
    Result<bool> take(const wire::NodeMap& answer);
    Result<void> save() const;
    // Asks for a full map next time; what there is stays in force.
    void forget_revision() { since_.clear(); }

    // Of the last good answer; none before the first.
    const std::optional<wire::MapHead>& head() const { return state_.head; }
    int64_t revision() const { return state_.revision; }
    std::vector<wire::MapFragment> fragments() const;
    // Fragments that are well signed and say what we do not understand.
    const std::vector<std::string>& refused() const { return state_.refused; }
    const std::string& since() const {
        return since_;
    }  // "<epoch>.<revision>", empty without a map
    void set_keys(std::vector<pki::VerifyKey> keys) { keys_ = std::move(keys); }

private:
    using Key = std::tuple<std::string, wire::FragmentKind, std::string>;  // scope, kind, id
    struct Fragment {
        wire::SignedBytes bytes;
        wire::MapFragment content;
    };
    struct State {
        wire::SignedBytes head_bytes;
        std::optional<wire::MapHead> head;
        int64_t revision = 0;
        std::map<Key, Fragment> fragments;
        std::vector<std::string> refused;
    };

    Result<void> verify(const wire::SignedBytes& bytes) const;
    Result<wire::MapHead> read_head(const wire::NodeMap& answer) const;
    Result<void> merge(const wire::NodeMap& answer, State& state) const;
    Result<State> full_of(const wire::NodeMap& answer) const;
    Result<State> delta_of(const wire::NodeMap& answer) const;
    void adopt(State state);

    std::string folder_;
    MapOwner owner_;
    std::vector<pki::VerifyKey> keys_;
    State state_;
    std::string since_;
};

}  // namespace cvlan::enrolee
