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
}

int node_list(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    std::string network_id;
    if (!args.network.empty()) {
        auto network = session->controller.find_network(session->tenant_id, args.network);
        if (!network) return fail(io, network.error());
        network_id = network->id;
    }
    auto list = session->controller.list_nodes(session->tenant_id, network_id);
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

// What rename, expire and revoke share: find the node, maybe ask, change it, print its row.
static int change_node(
    const Args& args, Io& io, const char* question,
    const std::function<Result<wire::Node>(Session&, const wire::Node&)>& change) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto node = session->controller.find_node(session->tenant_id, args.name);
    if (!node) return fail(io, node.error());
    if (question && !confirmed(args, io, fmt::format(fmt::runtime(question), node->name)))
        return kUsage;
    auto changed = change(*session, *node);
    if (!changed) return fail(io, changed.error());
    return print_created(args, io, *changed, row_of(*changed));
}

int node_rename(const Args& args, Io& io) {
    return change_node(args, io, nullptr, [&](Session& session, const wire::Node& node) {
        return session.controller.rename_node(session.tenant_id, node.id, args.new_name);
    });
}

int node_expire(const Args& args, Io& io) {
    return change_node(args, io, nullptr, [](Session& session, const wire::Node& node) {
        return session.controller.expire_node(session.tenant_id, node.id);
    });
}

int node_revoke(const Args& args, Io& io) {
    const char* question = "Revoke node {}? Its keys can never be used again.";
    return change_node(args, io, question, [](Session& session, const wire::Node& node) {
        return session.controller.revoke_node(session.tenant_id, node.id);
    });
}

int node_delete(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto node = session->controller.find_node(session->tenant_id, args.name);
    if (!node) return fail(io, node.error());
    if (!confirmed(args, io, fmt::format("Delete node {}?", node->name))) return kUsage;
    if (auto gone = session->controller.delete_node(session->tenant_id, node->id); !gone)
        return fail(io, gone.error());
    return kOk;
}

}  // namespace cvlan::cli
