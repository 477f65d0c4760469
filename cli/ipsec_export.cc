// SPDX-License-Identifier: Apache-2.0
// ipsec connection export: what a connection's other side must configure.
#include <algorithm>

#include "base/ip.h"
#include "base/public_address.h"
#include "cli/catalogue.h"
#include "cli/commands.h"
#include "cli/ipsec_site.h"
#include "cli/options.h"
#include "cli/output.h"
#include "model/connection.h"

namespace cvlan::cli {

namespace wire = model::wire;

namespace {

// Without their ports, and those of the Internet alone where there are any.
std::vector<std::string> addresses_of(const wire::Node& node, const std::string& network_id) {
    std::vector<std::string> all, open;
    for (const wire::NodeMembership& place : node.memberships) {
        if (place.network_id != network_id) continue;
        for (const std::string& text : place.endpoints) {
            const auto endpoint = Endpoint::parse(text);
            if (!endpoint) continue;
            const std::string address = endpoint->address.text();
            if (std::find(all.begin(), all.end(), address) != all.end()) continue;
            all.push_back(address);
            if (is_public(endpoint->address)) open.push_back(address);
        }
    }
    return open.empty() ? all : open;
}

// What goes into a file for charon is what a connection can be, whoever the controller is.
Result<void> check(const wire::IpsecConnection& it) {
    wire::MapConnection told;
    told.name = it.name;
    told.remote_addresses = it.remote_addresses;
    told.remote_identity = it.remote_identity;
    told.local_identity = it.local_identity;
    told.auth = it.auth;
    told.remote_ca = it.remote_ca;
    told.local_subnets = it.local_subnets;
    told.remote_subnets = it.remote_subnets;
    told.ike_proposals = it.ike_proposals;
    told.esp_proposals = it.esp_proposals;
    told.start = it.start;
    told.dpd_seconds = it.dpd_seconds;
    told.rekey_seconds = it.rekey_seconds;
    told.secret_revision = it.secret_revision;
    auto good = model::from_wire(it.id, told);
    if (!good) return failed(good.error().while_doing("the controller's connection"));
    return {};
}
void add_prefixes(const std::vector<std::string>& texts, std::vector<std::string>& out) {
    for (const std::string& text : texts)
        if (const auto prefix = Prefix::parse(text)) out.push_back(prefix->text());
}

Result<wire::IpsecConnection> find(Catalogue& catalogue, const Session& session,
                                   const std::string& name) {
    auto found = catalogue.one(*client::find_resource("ipsec-connection"), session.tenant_id, name);
    if (!found) return failed(found.error());
    auto connection = model::decode<wire::IpsecConnection>(encode(*found), model::kDocument);
    if (!connection) return connection;
    if (auto good = check(*connection); !good) return failed(good.error());
    return connection;
}

// The network's vrouter: its routes are reached by the site too, and its node's addresses.
Result<void> add_vrouter(Site& site, Catalogue& catalogue, Session& session) {
    const std::string& tenant_id = site.connection.tenant_id;
    const std::string& network_id = site.connection.network_id;
    auto all = catalogue.all(*client::find_resource("vrouter"), tenant_id);
    if (!all) return failed(all.error());
    for (const client::Value& value : *all) {
        auto vrouter = model::decode<wire::Vrouter>(encode(value), model::kDocument);
        if (!vrouter) return failed(vrouter.error());
        const auto& networks = vrouter->network_ids;
        if (std::find(networks.begin(), networks.end(), network_id) == networks.end()) continue;
        if (site.connection.local_subnets.empty()) add_prefixes(vrouter->routes, site.our_subnets);
        if (!vrouter->node_id) continue;
        auto node = session.controller.find_node(tenant_id, *vrouter->node_id);
        if (!node) return failed(node.error());
        site.our_addresses = addresses_of(*node, network_id);
    }
    return {};
}

Result<Site> read_site(const Args& args) {
    auto session = connect_to_tenant(args);
    if (!session) return failed(session.error());
    Catalogue catalogue(client::Objects(session->controller.transport()));
    auto connection = find(catalogue, *session, args.name);
    if (!connection) return failed(connection.error());
    Site site{std::move(*connection)};
    auto network =
        session->controller.find_network(site.connection.tenant_id, site.connection.network_id);
    if (!network) return failed(network.error());
    site.approved_only = network->crypto_profile == wire::CryptoProfile::FipsAlgorithms;
    site.our_subnets = site.connection.local_subnets;
    if (site.our_subnets.empty())
        for (const auto& prefix : {network->ipv4, network->ipv6})
            if (prefix) add_prefixes({*prefix}, site.our_subnets);
    if (auto added = add_vrouter(site, catalogue, *session); !added) return failed(added.error());
    return site;
}

}  // namespace

void ipsec_connection_export_options(CLI::App& app, Args& args) {
    object(app, args);
    app.add_option("--format", args.format,
                   "swanctl, a file for strongSwan, or text, a setting a line")
        ->required()
        ->check(CLI::IsMember({"swanctl", "text"}));
}

int ipsec_connection_export(const Args& args, Io& io) {
    auto site = read_site(args);
    if (!site) return fail(io, site.error());
    if (args.format == "swanctl")
        io.out << swanctl_of(*site);
    else
        print_fields(io, settings_of(*site));
    return kOk;
}

}  // namespace cvlan::cli
