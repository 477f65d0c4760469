// SPDX-License-Identifier: Apache-2.0
#include "api/token_keys.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

http::Response list_token_keys(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto page = context.store.token_keys(*filter);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::TokenKeyList list;
    for (const model::TokenKey& key : page->items) list.token_keys.push_back(to_wire(key));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

http::Response create_token_key(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::TokenKeyCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    if (auto own = check_tenant(who, body->tenant_id); !own)
        return error_response(own.error(), call.request.request_id);
    auto key = pki::VerifyKey::from_base64(body->public_key);
    if (!key) {
        Error error = key.error().while_doing("publicKey");
        error.pointer = "/publicKey";
        return error_response(error, call.request.request_id);
    }
    auto made = call.store.create_token_key(
        {body->tenant_id, {}, body->name, key->kid(), key->to_base64(), {}});
    if (!made) return error_response(made.error(), call.request.request_id);
    log::info("api.token_key_created",
              {{"tenant", made->tenant_id}, {"id", made->id}, {"kid", made->kid}});
    return json_response(
        201, wire::TokenKeyCreated{to_wire(*made), context.settings.registration_urls.front(),
                                   context.authority->root_spki()});
}

http::Response get_token_key(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return error_response(scope.error(), call.request.request_id);
    auto key = context.store.token_key(*scope, call.id);
    if (!key) return error_response(key.error(), call.request.request_id);
    return json_response(200, to_wire(*key));
}

http::Response delete_token_key(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return error_response(scope.error(), call.request.request_id);
    auto key = context.store.token_key(*scope, call.id);
    if (!key) return error_response(key.error(), call.request.request_id);
    if (auto good = check_no_match(call.request); !good)
        return error_response(good.error(), call.request.request_id);
    auto gone = call.store.delete_token_key({key->tenant_id, key->id});
    if (!gone) return error_response(gone.error(), call.request.request_id);
    log::info("api.token_key_deleted",
              {{"tenant", key->tenant_id}, {"id", key->id}, {"kid", key->kid}});
    return no_content();
}

}  // namespace cvlan::api
