// SPDX-License-Identifier: Apache-2.0
// The connections of a map: those of networks whose vrouter this node is.
#include "model/network_map.h"

namespace cvlan::model {

namespace {

// As for a vrouter's routes; and where two say the same, packets for one would go to the other.
std::string fault_of(const NetworkMap& map, const MapConnection& connection) {
    for (const Prefix& subnet : connection.remote_subnets) {
        for (const auto& [id, network] : map.networks) {
            for (const auto& prefix : {network.ipv4, network.ipv6})
                if (prefix && prefix->overlaps(subnet))
                    return fmt::format("{} overlaps network {}", subnet.text(), network.name);
            for (const auto& [other_id, other] : network.connections)
                for (const Prefix& theirs : other.remote_subnets)
                    if (theirs.overlaps(subnet))
                        return fmt::format("{} overlaps connection {}", subnet.text(), other.name);
        }
    }
    return {};
}

// The network's own prefixes and what else lies behind the vrouter, but for other connections'.
std::vector<Prefix> all_of_the_network(const MapNetwork& network) {
    std::vector<Prefix> all;
    for (const auto& prefix : {network.ipv4, network.ipv6})
        if (prefix) all.push_back(*prefix);
    const auto is_behind_a_device = [&](const Prefix& route) {
        for (const auto& [id, connection] : network.connections)
            for (const Prefix& subnet : connection.remote_subnets)
                if (subnet == route) return true;
        return false;
    };
    for (const Prefix& route : network.self.routes)
        if (!is_behind_a_device(route)) all.push_back(route);
    return all;
}

}  // namespace

void place_connections(const std::vector<wire::MapFragment>& fragments, NetworkMap& map) {
    for (const wire::MapFragment& fragment : fragments) {
        const auto network = map.networks.find(fragment.scope);
        // Of a network whose vrouter this node was before: fragments stay until the next full map.
        if (fragment.kind != wire::FragmentKind::Connection || fragment.removed.value_or(false) ||
            network == map.networks.end() || !network->second.self.gateway)
            continue;
        auto connection = fragment.connection
                              ? from_wire(fragment.id, *fragment.connection)
                              : Result<MapConnection>(fail(Code::Malformed, "says nothing"));
        const std::string fault =
            connection ? fault_of(map, *connection) : connection.error().message;
        if (fault.empty())
            network->second.connections.emplace(fragment.id, std::move(*connection));
        else
            map.refused.push_back(fmt::format("connection {}: {}", fragment.id, fault));
    }
    for (auto& [id, network] : map.networks)
        for (auto& [connection_id, connection] : network.connections)
            if (connection.local_subnets.empty())
                connection.local_subnets = all_of_the_network(network);
}

}  // namespace cvlan::model
