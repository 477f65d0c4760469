// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a relay keeps on disk: a folder a tenant, `<state_dir>/<tenant id>/`, with its identity
// there (identity.json, as an agent's, without networks) and the last map that the controller
// signed (map.json). Keys are written before they are told to anyone.

#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/unique_fd.h"
#include "model/state.h"
#include "model/wire.h"
#include "pki/keys.h"

namespace cvlan::relayd {

namespace state = model::state;
namespace wire = model::wire;

// A node of one tenant, of role RELAY. Its keys are wiped where it ends.
struct Identity {
    state::IdentityState kept;

    Identity() = default;
    Identity(Identity&& other) noexcept { std::swap(kept, other.kept); }
    Identity& operator=(Identity&& other) noexcept {
        std::swap(kept, other.kept);
        return *this;
    }
    ~Identity();

    bool is_enrolled() const { return kept.phase == state::Phase::Enrolled; }
    std::string node_id() const { return kept.node_id.value_or(""); }
    // "<node id>.<tenant id>.<trust domain>": what nodes ask for (SNI).
    std::string server_name() const;
    std::string trust_pem() const;
    Result<std::vector<pki::VerifyKey>> map_keys() const;
};

// One process at a time: the folder is locked as long as a StateDir lives.
class StateDir {
public:
    // Makes the folder, 0700. Denied: others own it or can open it; Conflict: in use.
    static Result<StateDir> open(const std::string& path);

    Result<std::vector<Identity>> load_identities() const;
    // NotFound where there is none of this tenant.
    Result<Identity> load_identity(const std::string& tenant_id) const;
    Result<void> save_identity(const Identity& identity) const;

    Result<wire::NodeMap> load_map(const std::string& tenant_id) const;
    Result<void> save_map(const std::string& tenant_id, const wire::NodeMap& map) const;

private:
    StateDir(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string folder_of(const std::string& tenant_id) const { return path_ + "/" + tenant_id; }
    std::string path_;
    UniqueFd fd_;  // of the folder; holds the lock
};

}  // namespace cvlan::relayd
