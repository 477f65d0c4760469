// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"
#include "cli/output.h"

namespace cvlan::cli {

namespace wire = model::wire;

static Row row_of(const wire::Tenant& tenant) {
    return {tenant.name, time_text(tenant.created_at), tenant.id};
}

int tenant_create(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    wire::TenantCreate wanted;
    wanted.name = args.name;
    auto tenant = session->controller.create_tenant(wanted);
    if (!tenant) return fail(io, tenant.error());
    return print_created(args, io, *tenant, row_of(*tenant));
}

int tenant_list(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    auto asked = listing_of(args, "tenant", *session);
    if (!asked) return fail(io, asked.error());
    auto list = session->controller.list_tenants(*asked);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::Tenant& tenant : list->tenants) rows.push_back(row_of(tenant));
    return print_list(args, io, *list, {"NAME", "CREATED", "ID"}, rows);
}

int tenant_show(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    auto tenant = session->controller.find_tenant(args.name);
    if (!tenant) return fail(io, tenant.error());
    return print_object(
        args, io, *tenant,
        {{"Name", tenant->name}, {"Id", tenant->id}, {"Created", time_text(tenant->created_at)}});
}

int tenant_usage(const Args& args, Io& io) {
    auto session = connect(args);
    if (!session) return fail(io, session.error());
    auto tenant = session->controller.find_tenant(args.name);
    if (!tenant) return fail(io, tenant.error());
    auto usage = session->controller.tenant_usage(tenant->id);
    if (!usage) return fail(io, usage.error());
    const wire::NodeCounts& nodes = usage->nodes;
    std::vector<std::pair<std::string, std::string>> lines{
        {"Networks", std::to_string(usage->networks)},
        {"Nodes", fmt::format("{} active, {} pending, {} expired, {} revoked", nodes.active,
                              nodes.pending, nodes.expired, nodes.revoked)},
        {"Users", std::to_string(usage->users.value_or(0))},
        {"Tokens", std::to_string(usage->tokens)}};
    const auto add = [&](const std::string& of, int64_t received, int64_t sent) {
        lines.emplace_back(
            of, fmt::format("{} received, {} sent", bytes_text(received), bytes_text(sent)));
    };
    if (usage->received_bytes)
        add("Carried", *usage->received_bytes, usage->sent_bytes.value_or(0));
    for (const wire::NetworkTraffic& of : usage->traffic)
        add("  " + of.network_name, of.received_bytes, of.sent_bytes);
    return print_object(args, io, *usage, lines);
}

}  // namespace cvlan::cli
