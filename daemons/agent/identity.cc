// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/identity.h"

#include <algorithm>
#include <set>

#include "base/file.h"
#include "kernel-wg/keys.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

namespace {

constexpr int kFormat = 1;

std::string agent_path(const StateDir& dir) { return dir.path() + "/agent.json"; }

}  // namespace

Result<state::NetworkKeys*> keys_for(Identity& identity, const std::string& network_id) {
    if (!is_uuid(network_id)) return fail(Code::Invalid, "the network's id is no UUID");
    if (auto* known = identity.network(network_id)) return known;
    state::NetworkKeys keys;
    keys.network_id = network_id;
    keys.wireguard_key = wg::secret_key_text(wg::generate_private_key()).reveal();
    identity.kept.networks.push_back(std::move(keys));
    return &identity.kept.networks.back();
}

Result<reconcile::DeviceKey> device_key(const state::NetworkKeys& keys) {
    auto key = wg::parse_secret_key(keys.wireguard_key);
    if (!key) return failed(key.error().while_doing("wireguard key"));
    return reconcile::DeviceKey::of(std::move(*key));
}

Result<state::AgentState> load_agent(const StateDir& dir) {
    auto file = load_state(agent_path(dir), kFormat);
    if (!file && file.error().code == Code::NotFound) return state::AgentState{};
    if (!file) return failed(file.error());
    auto agent = model::decode<state::AgentState>(file->content, model::kDocument);
    if (!agent) return failed(agent.error().while_doing(agent_path(dir)));
    return agent;
}

Result<void> save_agent(const StateDir& dir, const state::AgentState& agent) {
    return save_state(agent_path(dir), kFormat, encode(agent));
}

Result<uint32_t> move_index(state::AgentState& agent, const std::string& network_id,
                            const std::vector<uint32_t>& taken) {
    std::set<int64_t> used(taken.begin(), taken.end());
    for (const auto& slot : agent.slots) used.insert(slot.index);
    for (uint32_t index = 0; index < reconcile::kIndexes; ++index) {
        if (used.contains(index)) continue;
        std::erase_if(agent.slots, [&](const auto& slot) { return slot.network_id == network_id; });
        agent.slots.push_back({network_id, static_cast<int64_t>(index)});
        return index;
    }
    return fail(Code::Unavailable, "all {} networks of this machine are in use",
                reconcile::kIndexes);
}

Result<uint32_t> index_for(state::AgentState& agent, const std::string& network_id) {
    for (const auto& slot : agent.slots)
        if (slot.network_id == network_id) return static_cast<uint32_t>(slot.index);
    return move_index(agent, network_id, {});
}

}  // namespace cvlan::agent
