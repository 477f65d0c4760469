// SPDX-License-Identifier: Apache-2.0
#pragma once

// What must survive a crash: `<state_dir>/agent.json` (wanted up or down, the indexes of networks)
// and one folder an identity, `<state_dir>/<tenant id>/identity.json`. Keys are written here before
// they are told to anyone. Nothing here is ever made anew because it could not be read: a damaged
// file is the previous generation, or a refusal to start.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/unique_fd.h"
#include "model/state.h"
#include "pki/keys.h"
#include "reconcile/kind_wireguard.h"

namespace cvlan::agent {

namespace state = model::state;

// One identity: a node of one tenant. Its keys are wiped where it ends.
struct Identity {
    state::IdentityState kept;
    bool used_previous = false;  // the newest generation on disk was damaged

    Identity() = default;
    Identity(Identity&&) = default;
    Identity& operator=(Identity&& other) noexcept;
    ~Identity();

    bool is_enrolled() const { return kept.phase == state::Phase::Enrolled; }
    const std::string& node_id() const { return kept.node_id ? *kept.node_id : kEmpty; }
    const std::string& name() const { return kept.name ? *kept.name : kEmpty; }
    state::NetworkKeys* network(std::string_view network_id);
    const state::NetworkKeys* network(std::string_view network_id) const;
    Result<std::vector<pki::VerifyKey>> map_keys() const;
    std::string trust_pem() const;

private:
    static const std::string kEmpty;
};

// A fresh identity with keys and no certificate.
Result<Identity> new_identity(const std::string& tenant_id);
// The keys of `network_id`; made where there are none.
Result<state::NetworkKeys*> keys_for(Identity& identity, const std::string& network_id);
Result<reconcile::DeviceKey> device_key(const state::NetworkKeys& keys);

// One process at a time: the folder is locked (flock) as long as a StateDir lives.
class StateDir {
public:
    // Makes the folder, 0700. One that others own, or can open, is Denied; one which another
    // process has open is Conflict.
    static Result<StateDir> open(const std::string& path);
    // What open() would refuse of a folder that is there; changes and locks nothing. Root may look
    // at another user's.
    static Result<void> check(const std::string& path);

    // Neither file there: the defaults (up, no networks).
    Result<state::AgentState> load_agent() const;
    Result<void> save_agent(const state::AgentState& agent) const;

    // Code::Malformed names the folder of an identity both of whose generations are damaged.
    Result<std::vector<Identity>> load_identities() const;
    Result<void> save_identity(const Identity& identity) const;
    // After a success no crash brings it back. After a failure it may be asked for again.
    Result<void> remove_identity(const std::string& tenant_id) const;

    std::string folder_of(const std::string& tenant_id) const { return path_ + "/" + tenant_id; }

private:
    StateDir(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string grave_of(const std::string& tenant_id) const;
    void clear_graves() const;
    std::string path_;
    UniqueFd fd_;  // of the folder; holds the lock
};

// The index of a network on this machine: the one it has, else the lowest free one that is not in
// `taken`. Unavailable when all 100 are in use.
Result<uint32_t> index_for(state::AgentState& agent, const std::string& network_id);
// Gives it another one, because something foreign holds `index`.
Result<uint32_t> move_index(state::AgentState& agent, const std::string& network_id,
                            const std::vector<uint32_t>& taken);

}  // namespace cvlan::agent
