// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an agent keeps beside its identities: `<state_dir>/agent.json` (wanted up or down, the
// indexes of networks), and in an identity the keys of each network.

#include <string>
#include <vector>

#include "enrolee/identity.h"
#include "reconcile/kind_wireguard.h"

namespace cvlan::agent {

namespace state = model::state;

using enrolee::Identity;
using enrolee::new_identity;
using enrolee::StateDir;

// The keys of `network_id`; made where there are none.
Result<state::NetworkKeys*> keys_for(Identity& identity, const std::string& network_id);
Result<reconcile::DeviceKey> device_key(const state::NetworkKeys& keys);

// Neither generation there: the defaults (up, no networks).
Result<state::AgentState> load_agent(const StateDir& dir);
Result<void> save_agent(const StateDir& dir, const state::AgentState& agent);

// The index of a network on this machine: the one it has, else the lowest free one that is not in
// `taken`. Unavailable when all 100 are in use.
Result<uint32_t> index_for(state::AgentState& agent, const std::string& network_id);
// Gives it another one, because something foreign holds `index`.
Result<uint32_t> move_index(state::AgentState& agent, const std::string& network_id,
                            const std::vector<uint32_t>& taken);

}  // namespace cvlan::agent
