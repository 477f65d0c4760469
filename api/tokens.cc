// SPDX-License-Identifier: Apache-2.0
#include "api/tokens.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"
#include "pki/token.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

using namespace std::chrono_literals;
constexpr auto kDefaultLife = 24h;
constexpr auto kLongestLife = 24h * 366;

Result<std::chrono::seconds> read_life(const std::optional<std::string>& text) {
    if (!text) return std::chrono::seconds(kDefaultLife);
    auto life = parse_duration(*text);
    if (life && (*life < 1s || *life > kLongestLife))
        life = fail(Code::Invalid, "must be from 1s to {}s",
                    std::chrono::seconds(kLongestLife).count());
    if (life) return life;
    Error error = life.error().while_doing("expiresIn");
    error.pointer = "/expiresIn";
    return failed(error);
}

model::TokenRole from_wire(wire::TokenRole role) {
    switch (role) {
        case wire::TokenRole::Node:
            return model::TokenRole::Node;
        case wire::TokenRole::Vrouter:
            return model::TokenRole::Vrouter;
        case wire::TokenRole::Relay:
            return model::TokenRole::Relay;
    }
    return model::TokenRole::Node;
}

model::TokenClaims claims_for(const Context& context, const wire::TokenCreate& body,
                              std::chrono::seconds life) {
    model::TokenClaims claims;
    claims.id = new_uuid(unix_ms(context.clock.now()));
    claims.tenant_id = body.tenant_id;
    claims.network_id = body.network_id;
    claims.role = from_wire(body.role.value_or(wire::TokenRole::Node));
    claims.expires_at = std::chrono::floor<std::chrono::seconds>(context.clock.now()) + life;
    claims.uses = body.uses.value_or(1);
    claims.nonce = random_bytes(32);
    claims.url = context.settings.registration_urls.front();
    claims.ca_spki = context.authority.root_spki();
    return claims;
}

Result<model::Token> find_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto token = context.store.token(*scope, call.id);
    if (token)
        if (auto own = check_owner(who, token->owner); !own) return failed(own.error());
    return token;
}

Result<store::Key> key_of(Context& context, const Call& call, const AdminIdentity& who) {
    auto token = find_token(context, call, who);
    if (!token) return failed(token.error());
    return store::Key{token->tenant_id, token->id};
}

}  // namespace

http::Response list_tokens(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto page = context.store.tokens(*filter);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::TokenList list;
    for (const model::Token& token : page->items) list.tokens.push_back(to_wire(token));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

http::Response create_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::TokenCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    if (auto own = check_tenant(who, body->tenant_id); !own)
        return error_response(own.error(), call.request.request_id);
    const auto role = from_wire(body->role.value_or(wire::TokenRole::Node));
    if (auto good = check_token_role(who, role); !good)
        return error_response(good.error(), call.request.request_id);
    auto life = read_life(body->expires_in);
    if (!life) return error_response(life.error(), call.request.request_id);
    auto keys = context.keys.of(body->tenant_id);
    if (!keys) return error_response(keys.error(), call.request.request_id);

    auto claims = claims_for(context, *body, *life);
    claims.kid = (*keys)->token.kid();
    auto text = pki::make_token(claims, (*keys)->token);
    if (!text) return error_response(text.error(), call.request.request_id);
    auto record = call.store.create_token(claims);
    if (!record) return error_response(record.error(), call.request.request_id);
    log::info("api.token_created", {{"tenant", record->tenant_id},
                                    {"token", record->id},
                                    {"network", record->network_id},
                                    {"uses", record->uses_total}});
    return json_response(201, wire::TokenCreated{text->reveal(), record->id, to_wire(*record)});
}

http::Response get_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto token = find_token(context, call, who);
    if (!token) return error_response(token.error(), call.request.request_id);
    return json_response(200, to_wire(*token));
}

http::Response delete_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto key = key_of(context, call, who);
    if (!key) return error_response(key.error(), call.request.request_id);
    auto gone = call.store.delete_token(*key);
    if (!gone) return error_response(gone.error(), call.request.request_id);
    log::info("api.token_deleted", {{"tenant", key->tenant_id}, {"token", key->id}});
    return no_content();
}

http::Response revoke_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto key = key_of(context, call, who);
    if (!key) return error_response(key.error(), call.request.request_id);
    auto token = call.store.revoke_token(*key);
    if (!token) return error_response(token.error(), call.request.request_id);
    log::info("api.token_revoked", {{"tenant", key->tenant_id}, {"token", key->id}});
    return json_response(200, to_wire(*token));
}

}  // namespace cvlan::api
