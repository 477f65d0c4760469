// SPDX-License-Identifier: Apache-2.0
#include "api/tenants.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

// The ETag of a tenant is that of its own fields: `revision` rises with every change in it.
http::Response tenant_response(const Call& call, int status, const Result<model::Tenant>& tenant) {
    if (!tenant) return error_response(tenant.error(), call.request.request_id);
    return tagged_response(status, model::to_wire(*tenant), tenant->own_revision);
}

http::Response change_tenant(const Call& call, const store::TenantChange& change) {
    auto changed = call.store.update_tenant(call.id, change);
    if (changed && !call.validate_only)
        log::info(
            "api.tenant_changed",
            {{"tenant", changed->id}, {"name", changed->name}, {"suspended", changed->suspended}});
    return tenant_response(call, 200, changed);
}

void remove_keys(Context& context, const std::string& tenant_id) {
    if (auto removed = context.keys.remove(tenant_id); !removed)
        log::warn("api.keys_left_behind",
                  {{"tenant", tenant_id}, {"reason", removed.error().message}});
}

}  // namespace

http::Response list_tenants(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.tenants(*filter), &wire::TenantList::tenants,
                         [](const model::Tenant& tenant) { return model::to_wire(tenant); });
}

http::Response create_tenant(Context& context, const Call& call, const AdminIdentity&) {
    auto body = model::decode<wire::TenantCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);

    store::NewTenant tenant{new_uuid(unix_ms(context.clock.now())),
                            body->name,
                            {},
                            body->description.value_or(""),
                            from_wire(body->quotas.value_or(wire::Quotas{}))};
    // Before the folder of the keys is made, so that a wrong name leaves nothing behind.
    if (auto name = model::check_name("name", body->name); !name)
        return error_response(name.error(), call.request.request_id);
    auto keys = context.keys.create(tenant.id);
    if (!keys) return error_response(keys.error(), call.request.request_id);
    tenant.keys = {
        {store::KeyPurpose::Token, (*keys)->token.kid(), (*keys)->token.public_key().to_base64()},
        {store::KeyPurpose::Map, (*keys)->map.kid(), (*keys)->map.public_key().to_base64()}};

    auto made = call.store.create_tenant(tenant);
    if (!made || call.validate_only) remove_keys(context, tenant.id);
    if (made && !call.validate_only)
        log::info("api.tenant_created", {{"tenant", made->id}, {"name", made->name}});
    return tenant_response(call, 201, made);
}

http::Response get_tenant(Context&, const Call& call, const AdminIdentity& who) {
    if (auto own = check_tenant(who, call.id); !own)
        return error_response(own.error(), call.request.request_id);
    return tenant_response(call, 200, call.store.tenant(call.id));
}

static void show_traffic(const store::Usage& usage, wire::TenantUsage& shown) {
    for (const auto& of : usage.traffic) {
        wire::NetworkTraffic& one = shown.traffic.emplace_back();
        one.network_id = of.network_id;
        one.network_name = of.network_name;
        one.received_bytes = of.received;
        one.sent_bytes = of.sent;
    }
    shown.received_bytes = usage.carried.received;
    shown.sent_bytes = usage.carried.sent;
}

http::Response get_tenant_usage(Context&, const Call& call, const AdminIdentity& who) {
    if (auto own = check_tenant(who, call.id); !own)
        return error_response(own.error(), call.request.request_id);
    auto usage = call.store.usage(call.id);
    if (!usage) return error_response(usage.error(), call.request.request_id);
    wire::TenantUsage shown;
    shown.networks = usage->networks;
    shown.nodes = {usage->nodes[model::NodeState::Active], usage->nodes[model::NodeState::Pending],
                   usage->nodes[model::NodeState::Expired],
                   usage->nodes[model::NodeState::Revoked]};
    shown.tokens = usage->tokens;
    shown.users = usage->users;
    shown.quotas = model::to_wire(usage->quotas);
    show_traffic(*usage, shown);
    return json_response(200, shown);
}

http::Response update_tenant(Context&, const Call& call, const AdminIdentity&) {
    auto body = model::decode<wire::TenantUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    store::TenantChange change{body->name, body->description};
    if (body->quotas) change.quotas = from_wire(*body->quotas);
    return change_tenant(call, change);
}

http::Response suspend_tenant(Context&, const Call& call, const AdminIdentity&) {
    return change_tenant(call, {.suspended = true});
}

http::Response resume_tenant(Context&, const Call& call, const AdminIdentity&) {
    return change_tenant(call, {.suspended = false});
}

http::Response delete_tenant(Context& context, const Call& call, const AdminIdentity&) {
    auto gone = call.store.delete_tenant(call.id);
    if (gone && !call.validate_only) {
        remove_keys(context, call.id);
        log::info("api.tenant_deleted", {{"tenant", call.id}});
    }
    return gone_response(call, gone);
}

}  // namespace cvlan::api
