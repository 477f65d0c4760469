// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;

static Row row_of(const wire::Node& node) {
    std::vector<std::string> addresses, networks;
    for (const wire::NodeMembership& place : node.memberships) {
        addresses.insert(addresses.end(), place.addresses.begin(), place.addresses.end());
        networks.push_back(place.network_name);
    }
    return {node.name,      std::string(text(node.state)), join(addresses),
            join(networks), time_text(node.last_seen_at),  node.id};
}

using Fields = std::vector<std::pair<std::string, std::string>>;

static std::string round_trip(const wire::NodePeer& peer) {
    return peer.rtt_ms ? fmt::format("{} ms", *peer.rtt_ms) : "";
}

// "DIRECT 192.0.2.9:51820, 12 ms" or "RELAY_UDP berlin, 31 ms".
static std::string path_text(const wire::NodePeer& peer) {
    std::string out(text(peer.path));
    const bool is_relayed = peer.relay_name || peer.relay_id;
    const std::string by = is_relayed ? peer.relay_name.value_or(peer.relay_id.value_or(""))
                                      : peer.endpoint.value_or("");
    if (!by.empty()) out += " " + by;
    if (peer.rtt_ms) out += ", " + round_trip(peer);
    return out;
}

static void add_peers(Fields& fields, const wire::NodePeerList& list) {
    if (!list.reported_at) return;
    fields.emplace_back("Peers as of", time_text(list.reported_at));
    for (const wire::NodePeer& peer : list.peers)
        fields.emplace_back(fmt::format("  {} in {}", peer.name, peer.network_name),
                            path_text(peer));
}

static int print_node(const Args& args, Io& io, const wire::Node& node,
                      const wire::NodePeerList& peers) {
    Fields fields{{"Name", node.name},
                  {"Id", node.id},
                  {"Tenant", node.tenant_id},
                  {"State", std::string(text(node.state))},
                  {"Role", std::string(text(node.role))},
                  {"Created", time_text(node.created_at)},
                  {"Last seen", time_text(node.last_seen_at)},
                  {"Certificate until", time_text(node.certificate_expires_at)}};
    for (const wire::NodeMembership& place : node.memberships) {
        fields.emplace_back("Network",
                            fmt::format("{} ({})", place.network_name, place.network_id));
        fields.emplace_back("  addresses", join(place.addresses));
        fields.emplace_back("  endpoints", join(place.endpoints));
        fields.emplace_back("  WireGuard key", place.wireguard_public_key);
    }
    if (const auto& machine = node.inventory) {
        fields.emplace_back("Host name", machine->hostname.value_or(""));
        fields.emplace_back("System", machine->os.value_or(""));
        fields.emplace_back("Kernel", machine->kernel.value_or(""));
        fields.emplace_back("Architecture", machine->architecture.value_or(""));
        fields.emplace_back("Agent", machine->agent_version.value_or(""));
        fields.emplace_back("MAC addresses", join(machine->mac_addresses));
    }
    add_peers(fields, peers);
    return print_object(args, io, node, fields);
}

void node_list_options(CLI::App& app, Args& args) {
    app.add_option("--network", args.network, "only nodes of this network, by id or name");
    list_options(app, args);
}

int node_list(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    Args with_network = args;
    if (!args.network.empty()) with_network.filters.push_back("network=" + args.network);
    auto asked = listing_of(with_network, "node", *session);
    if (!asked) return fail(io, asked.error());
    auto list = session->controller.list_nodes(*asked);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::Node& node : list->nodes) rows.push_back(row_of(node));
    return print_list(args, io, *list,
                      {"NAME", "STATE", "ADDRESSES", "NETWORKS", "LAST SEEN", "ID"}, rows);
}

int node_show(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto node = session->controller.find_node(session->tenant_id, args.name);
    if (!node) return fail(io, node.error());
    if (args.output != Output::Table) return print_node(args, io, *node, {});
    auto peers = session->controller.list_node_peers(node->tenant_id, node->id);
    // A controller from before there were reports has no such list.
    if (!peers && peers.error().code != Code::NotFound) return fail(io, peers.error());
    return print_node(args, io, *node, peers.value_or(wire::NodePeerList{}));
}

int node_peers(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto node = session->controller.find_node(session->tenant_id, args.name);
    if (!node) return fail(io, node.error());
    auto list = session->controller.list_node_peers(node->tenant_id, node->id);
    if (!list) return fail(io, list.error());
    const auto or_none = [](const std::string& text) { return text.empty() ? "-" : text; };
    std::vector<Row> rows;
    for (const wire::NodePeer& peer : list->peers)
        rows.push_back({peer.name, peer.network_name, std::string(text(peer.path)),
                        or_none(peer.endpoint.value_or("")),
                        or_none(peer.relay_name.value_or(peer.relay_id.value_or(""))),
                        or_none(round_trip(peer)), peer.node_id});
    return print_list(args, io, *list,
                      {"PEER", "NETWORK", "PATH", "ENDPOINT", "RELAY", "ROUND TRIP", "ID"}, rows);
}

}  // namespace cvlan::cli
