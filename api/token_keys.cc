// SPDX-License-Identifier: Apache-2.0
#include "api/token_keys.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

wire::TokenKey show(const model::TokenKey& key) { return model::to_wire(key); }

Result<model::TokenKey> find(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    return call.store.token_key(*scope, call.id);
}

}  // namespace

http::Response list_token_keys(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.token_keys(*filter), &wire::TokenKeyList::token_keys,
                         show);
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
    if (made && !call.validate_only)
        log::info("api.token_key_created",
                  {{"tenant", made->tenant_id}, {"id", made->id}, {"kid", made->kid}});
    return object_response(call, 201, made, [&](const model::TokenKey& one) {
        return wire::TokenKeyCreated{show(one), context.settings.registration_urls.front(),
                                     context.authority->root_spki()};
    });
}

http::Response get_token_key(Context&, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find(call, who), show);
}

http::Response delete_token_key(Context&, const Call& call, const AdminIdentity& who) {
    auto key = find(call, who);
    if (!key) return error_response(key.error(), call.request.request_id);
    auto gone = call.store.delete_token_key({key->tenant_id, key->id});
    if (gone && !call.validate_only)
        log::info("api.token_key_deleted",
                  {{"tenant", key->tenant_id}, {"id", key->id}, {"kid", key->kid}});
    return gone_response(call, gone);
}

}  // namespace cvlan::api
