// SPDX-License-Identifier: Apache-2.0
#include "api/tenants.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

http::Response list_tenants(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto page = context.store.tenants(*filter);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::TenantList list;
    for (const model::Tenant& tenant : page->items) list.tenants.push_back(to_wire(tenant));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

http::Response create_tenant(Context& context, const Call& call, const AdminIdentity&) {
    auto body = model::decode<wire::TenantCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);

    store::NewTenant tenant{new_uuid(unix_ms(context.clock.now())), body->name, {}};
    // Before the folder of the keys is made, so that a wrong name leaves nothing behind.
    if (auto name = model::check_name("name", body->name); !name)
        return error_response(name.error(), call.request.request_id);
    auto keys = context.keys.create(tenant.id);
    if (!keys) return error_response(keys.error(), call.request.request_id);
    tenant.keys = {
        {store::KeyPurpose::Token, (*keys)->token.kid(), (*keys)->token.public_key().to_base64()},
        {store::KeyPurpose::Map, (*keys)->map.kid(), (*keys)->map.public_key().to_base64()}};

    auto made = call.store.create_tenant(tenant);
    if (!made) {
        if (auto removed = context.keys.remove(tenant.id); !removed)
            log::warn("api.keys_left_behind",
                      {{"tenant", tenant.id}, {"reason", removed.error().message}});
        return error_response(made.error(), call.request.request_id);
    }
    log::info("api.tenant_created", {{"tenant", made->id}, {"name", made->name}});
    return json_response(201, to_wire(*made));
}

http::Response get_tenant(Context& context, const Call& call, const AdminIdentity& who) {
    if (auto own = check_tenant(who, call.id); !own)
        return error_response(own.error(), call.request.request_id);
    auto tenant = context.store.tenant(call.id);
    if (!tenant) return error_response(tenant.error(), call.request.request_id);
    return json_response(200, to_wire(*tenant));
}

http::Response update_tenant(Context&, const Call& call, const AdminIdentity&) {
    auto body = model::decode<wire::TenantUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto renamed = call.store.rename_tenant(call.id, body->name);
    if (!renamed) return error_response(renamed.error(), call.request.request_id);
    log::info("api.tenant_renamed", {{"tenant", renamed->id}, {"name", renamed->name}});
    return json_response(200, to_wire(*renamed));
}

http::Response delete_tenant(Context& context, const Call& call, const AdminIdentity&) {
    auto gone = call.store.delete_tenant(call.id);
    if (!gone) return error_response(gone.error(), call.request.request_id);
    if (auto removed = context.keys.remove(call.id); !removed)
        log::warn("api.keys_left_behind",
                  {{"tenant", call.id}, {"reason", removed.error().message}});
    log::info("api.tenant_deleted", {{"tenant", call.id}});
    return no_content();
}

}  // namespace cvlan::api
