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

}  // namespace cvlan::cli
