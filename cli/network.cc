// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;

static Row row_of(const wire::Network& network) {
    return {network.name, network.ipv4.value_or("-"), network.ipv6.value_or("-"),
            network.node_count ? std::to_string(*network.node_count) : "0", network.id};
}

static void data_plane_options(CLI::App& app, Args& args) {
    const std::map<std::string, wire::DataPlane> planes{{"wireguard", wire::DataPlane::Wireguard},
                                                        {"ipsec", wire::DataPlane::Ipsec},
                                                        {"auto", wire::DataPlane::Auto}};
    app.add_option("--data-plane", args.data_plane,
                   "what carries its packets: wireguard (the default), ipsec, or auto")
        ->transform(CLI::CheckedTransformer(planes, CLI::ignore_case));
    app.add_option("--ipsec-tags", args.ipsec_tags,
                   "with auto: tags of nodes that are reached over ipsec, with commas")
        ->delimiter(',');
    const std::map<std::string, wire::CryptoProfile> profiles{
        {"default", wire::CryptoProfile::Default},
        {"fips_algorithms", wire::CryptoProfile::FipsAlgorithms}};
    app.add_option("--crypto-profile", args.crypto_profile,
                   "of ipsec: default, or fips_algorithms for approved ones alone")
        ->transform(CLI::CheckedTransformer(profiles, CLI::ignore_case));
    const std::map<std::string, wire::Topology> topologies{{"mesh", wire::Topology::Mesh},
                                                           {"hub", wire::Topology::Hub}};
    app.add_option("--topology", args.topology,
                   "who has a tunnel with whom: mesh (the default) all, hub with its vrouter alone")
        ->transform(CLI::CheckedTransformer(topologies, CLI::ignore_case));
}

void network_create_options(CLI::App& app, Args& args) {
    object(app, args);
    app.add_option("--ipv4", args.ipv4, "its prefix such as 10.100.0.0/24, or none")->required();
    app.add_option("--ipv6", args.ipv6, "its prefix, auto (a private /64) or none")
        ->capture_default_str();
    app.add_option("--mtu", args.mtu, "of the tunnels' devices")->check(CLI::Range(1280, 9000));
    data_plane_options(app, args);
}

int network_create(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    wire::NetworkCreate wanted;
    wanted.tenant_id = session->tenant_id;
    wanted.name = args.name;
    wanted.ipv4 = args.ipv4;
    wanted.ipv6 = args.ipv6;
    if (args.mtu != 0) wanted.mtu = args.mtu;
    wanted.data_plane = args.data_plane;
    wanted.ipsec_tags = args.ipsec_tags;
    wanted.crypto_profile = args.crypto_profile;
    wanted.topology = args.topology;
    auto network = session->controller.create_network(wanted);
    if (!network) return fail(io, network.error());
    return print_created(args, io, *network, row_of(*network));
}

int network_list(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto asked = listing_of(args, "network", *session);
    if (!asked) return fail(io, asked.error());
    auto list = session->controller.list_networks(*asked);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::Network& network : list->networks) rows.push_back(row_of(network));
    return print_list(args, io, *list, {"NAME", "IPV4", "IPV6", "NODES", "ID"}, rows);
}

int network_show(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto network = session->controller.find_network(session->tenant_id, args.name);
    if (!network) return fail(io, network.error());
    return print_object(
        args, io, *network,
        {{"Name", network->name},
         {"Id", network->id},
         {"Tenant", network->tenant_id},
         {"IPv4", network->ipv4.value_or("")},
         {"IPv6", network->ipv6.value_or("")},
         {"MTU", network->mtu ? std::to_string(*network->mtu) : ""},
         {"Data plane", network->data_plane ? std::string(text(*network->data_plane)) : ""},
         {"IPsec tags", join(network->ipsec_tags)},
         {"Crypto profile",
          network->crypto_profile ? std::string(text(*network->crypto_profile)) : ""},
         {"Topology", network->topology ? std::string(text(*network->topology)) : ""},
         {"Nodes", std::to_string(network->node_count.value_or(0))},
         {"Created", time_text(network->created_at)}});
}

}  // namespace cvlan::cli
