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

static int print_node(const Args& args, Io& io, const wire::Node& node) {
    std::vector<std::pair<std::string, std::string>> fields{
        {"Name", node.name},
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
    return print_node(args, io, *node);
}

}  // namespace cvlan::cli
