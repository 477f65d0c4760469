// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a program that is enrolled at controllers keeps on disk: one folder a tenant,
// `<state_dir>/<tenant id>/`, with its identity there (identity.json). Keys are written here before
// they are told to anyone. Nothing here is ever made anew because it could not be read: a damaged
// file is the previous generation, or a refusal to start.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "model/state.h"
#include "pki/keys.h"

namespace cvlan::enrolee {

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
    // "<node id>.<tenant id>.<trust domain>": what others ask for (SNI).
    std::string server_name() const;
    state::NetworkKeys* network(std::string_view network_id);
    const state::NetworkKeys* network(std::string_view network_id) const;
    Result<std::vector<pki::VerifyKey>> map_keys() const;
    std::string trust_pem() const;

private:
    static const std::string kEmpty;
};

// A fresh identity with a TLS key and no certificate.
Result<Identity> new_identity(const std::string& tenant_id);

// One process at a time: the folder is locked (flock) as long as a StateDir lives.
class StateDir {
public:
    // Makes the folder, 0700. One that others own, or can open, is Denied; one which another
    // process has open is Conflict.
    static Result<StateDir> open(const std::string& path);
    // What open() would refuse of a folder that is there; changes and locks nothing. Root may look
    // at another user's.
    static Result<void> check(const std::string& path);

    // Code::Malformed names the folder of an identity both of whose generations are damaged.
    Result<std::vector<Identity>> load_identities() const;
    // NotFound where there is none of this tenant.
    Result<Identity> load_identity(const std::string& tenant_id) const;
    Result<void> save_identity(const Identity& identity) const;
    // After a success no crash brings it back. After a failure it may be asked for again.
    Result<void> remove_identity(const std::string& tenant_id) const;
    // What a crash left of identities that were removed: to be called at the start.
    Result<void> finish_removals() const;

    const std::string& path() const { return path_; }
    std::string folder_of(const std::string& tenant_id) const { return path_ + "/" + tenant_id; }

private:
    StateDir(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string grave_of(const std::string& tenant_id) const;
    std::string path_;
    UniqueFd fd_;  // of the folder; holds the lock
};

}  // namespace cvlan::enrolee
