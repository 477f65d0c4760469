// SPDX-License-Identifier: Apache-2.0
// The file for wg-quick (wg-quick(8)) of a stock WireGuard client: its address, and who of its
// network can be reached. Its private key stands at the client alone.
#include "api/convert.h"
#include "api/nodes.h"
#include "api/respond.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

constexpr int kKeepalive_s = 25;  // wg(8): behind NAT, which stock clients mostly are

std::string hosts_of(const model::Membership& membership) {
    std::string text;
    if (membership.ipv4) text += membership.ipv4->text() + "/32";
    if (membership.ipv6)
        text += fmt::format("{}{}/128", text.empty() ? "" : ", ", membership.ipv6->text());
    return text;
}

// What the client sends to a node: of the network's vrouter what is behind that, and in a hub the
// whole network too, where nobody else has a tunnel with the client.
std::string reached_at(const model::Membership& membership, const model::Network& network) {
    std::string text = hosts_of(membership);
    if (!membership.gateway) return text;
    if (network.topology == model::Topology::Hub)
        for (const auto& prefix : {network.ipv4, network.ipv6})
            if (prefix) text += ", " + prefix->text();
    for (const std::string& route : membership.routes) text += ", " + route;
    return text;
}

// A client can not try one after the other: the first that can be reached from elsewhere, IPv4
// before IPv6, which not everybody has.
const Endpoint* endpoint_of(const model::Membership& membership) {
    const Endpoint* best = nullptr;
    const auto rank = [](const Endpoint& endpoint) {
        return (endpoint.address.is_private() ? 2 : 0) + (endpoint.address.is_v4() ? 0 : 1);
    };
    for (const Endpoint& endpoint : membership.endpoints)
        if (!best || rank(endpoint) < rank(*best)) best = &endpoint;
    return best;
}

std::string peer_section(const model::Node& node, const model::Membership& membership,
                         const model::Network& network) {
    const bool is_behind = network.topology == model::Topology::Hub && !membership.gateway;
    const Endpoint* endpoint = endpoint_of(membership);
    if (!endpoint || is_behind) return {};
    return fmt::format(
        "\n# {}\n[Peer]\nPublicKey = {}\nAllowedIPs = {}\nEndpoint = {}\n"
        "PersistentKeepalive = {}\n",
        node.name, membership.wireguard_key, reached_at(membership, network), endpoint->text(),
        kKeepalive_s);
}

Result<std::string> peer_sections(const Call& call, const model::Node& self,
                                  const model::Network& network) {
    std::string text;
    store::Filter filter{.tenant = self.tenant_id, .network_id = network.id};
    filter.node_state = model::NodeState::Active;
    filter.page_size = 1000;
    do {
        auto page = call.store.nodes(filter);
        if (!page) return failed(page.error());
        for (const model::Node& node : page->items)
            for (const model::Membership& membership : node.memberships)
                if (node.id != self.id && membership.network_id == network.id)
                    text += peer_section(node, membership, network);
        filter.page_token = page->next_page_token;
    } while (!filter.page_token.empty());
    return text;
}

}  // namespace

http::Response wireguard_config(Context&, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return error_response(scope.error(), call.request.request_id);
    auto node = call.store.node(*scope, call.id);
    if (node && (!node->external || node->memberships.empty()))
        node = fail(Code::Conflict, "node '{}' is no external one: its agent makes its tunnels",
                    node->name);
    if (!node) return error_response(node.error(), call.request.request_id);
    const model::Membership& place = node->memberships.front();
    auto network = call.store.network(node->tenant_id, place.network_id);
    if (!network) return error_response(network.error(), call.request.request_id);
    auto peers = peer_sections(call, *node, *network);
    if (!peers) return error_response(peers.error(), call.request.request_id);
    return json_response(200, wire::WireguardConfig{fmt::format(
                                  "# {} in {}\n[Interface]\nAddress = {}\nMTU = {}\n{}", node->name,
                                  network->name, hosts_of(place), network->mtu, *peers)});
}

}  // namespace cvlan::api
