// SPDX-License-Identifier: Apache-2.0
#include "model/relay_map.h"

#include <algorithm>

#include "model/objects.h"

namespace cvlan::model {

namespace {

bool is_for_all(const wire::MapFragment& fragment, const std::string& tenant_id) {
    return fragment.scope == tenant_id && !fragment.removed.value_or(false);
}

Result<MapRelay> check_relay(const wire::MapFragment& fragment) {
    if (!fragment.relay) return fail(Code::Malformed, "a RELAY fragment without a relay");
    const wire::MapRelay& told = *fragment.relay;
    MapRelay relay;
    relay.id = fragment.id;
    relay.name = told.name;
    // Names reach logs and terminals of this machine: checked here too.
    if (auto name = check_name("name", relay.name); !name) return failed(name.error());
    relay.region_id = told.region_id.value_or("");
    relay.region = told.region.value_or("");
    if (!relay.region.empty())
        if (auto name = check_name("region", relay.region); !name) return failed(name.error());
    relay.node_id = told.node_id;
    for (const std::string& text : told.endpoints)
        if (auto endpoint = Endpoint::parse(text); endpoint && endpoint->port != 0)
            relay.endpoints.push_back(*endpoint);
    if (relay.endpoints.empty()) return fail(Code::Invalid, "no endpoint");
    relay.stun_port = static_cast<uint16_t>(told.stun_port);
    return relay;
}

}  // namespace

void place_relays(const std::vector<wire::MapFragment>& fragments, const std::string& tenant_id,
                  std::map<std::string, MapRelay>& relays, std::vector<std::string>& refused) {
    for (const wire::MapFragment& fragment : fragments) {
        if (fragment.kind != wire::FragmentKind::Relay || !is_for_all(fragment, tenant_id))
            continue;
        if (auto relay = check_relay(fragment))
            relays.insert_or_assign(fragment.id, std::move(*relay));
        else
            refused.push_back(fmt::format("relay {}: {}", fragment.id, relay.error().message));
    }
}

bool RelayMap::is_barred(const std::string& node, const std::string& network, WallTime now) const {
    const auto holds = [&](const std::string& where) {
        const auto found = barred.find({node, where});
        return found != barred.end() && now < found->second;
    };
    return holds("") || holds(network);
}

RelayMap build_relay_map(const wire::MapHead& head, const std::vector<wire::MapFragment>& fragments,
                         int64_t revision) {
    RelayMap map;
    map.tenant_id = head.tenant_id;
    map.node_id = head.node_id;
    map.epoch = head.epoch;
    map.revision = std::max(head.revision, revision);
    map.issued_at = head.issued_at;
    map.expires_at = head.expires_at;
    place_relays(fragments, map.tenant_id, map.relays, map.refused);
    for (const wire::MapFragment& fragment : fragments) {
        if (fragment.kind != wire::FragmentKind::Barred || !is_for_all(fragment, map.tenant_id))
            continue;
        if (const auto& told = fragment.barred)
            map.barred[{told->node_id, told->network_id.value_or("")}] = told->until;
        else
            map.refused.push_back("barred " + fragment.id + ": says nobody");
    }
    return map;
}

}  // namespace cvlan::model
