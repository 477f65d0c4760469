// SPDX-License-Identifier: Apache-2.0
#include "api/tokens.h"

#include "api/convert.h"
#include "api/respond.h"
#include "api/tagging.h"
#include "base/log.h"
#include "pki/token.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

using namespace std::chrono_literals;
constexpr auto kLongestLife = 24h * 366;

constexpr auto kShortestAbsence = 5min;  // when a node was there is written each minute

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
    claims.role = from_wire(body.role.value_or(wire::TokenRole::Node));
    if (claims.role != model::TokenRole::Relay) claims.network_id = body.network_id.value_or("");
    claims.expires_at = std::chrono::floor<std::chrono::seconds>(context.clock.now()) + life;
    claims.uses = body.uses.value_or(1);
    claims.tags = body.tags;
    claims.nonce = random_bytes(32);
    claims.url = context.settings.registration_urls.front();
    claims.ca_spki = context.authority->root_spki();
    return claims;
}

Result<model::Token> find(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto token = call.store.token(*scope, call.id);
    if (token)
        if (auto own = check_owner(who, token->owner); !own) return failed(own.error());
    return token;
}

using Span = std::optional<std::chrono::milliseconds>;
Result<Span> read_absence(const std::optional<std::string>& text) {
    if (!text) return Span{};
    auto span = read_duration(*text, "ephemeralAfter", kShortestAbsence, kLongestLife);
    if (!span) return failed(span.error());
    return Span(*span);
}

// What depends on the time of asking is not the store's.
auto show_at(const Context& context) {
    return [now = context.clock.now()](const model::Token& token) {
        auto shown = model::to_wire(token);
        shown.state = model::to_wire(model::state_of(token, now));
        return shown;
    };
}

}  // namespace

http::Response list_tokens(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_token_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.tokens(*filter), &wire::TokenList::tokens,
                         show_at(context));
}

http::Response create_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::TokenCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    if (auto own = check_tenant(who, body->tenant_id); !own)
        return error_response(own.error(), call.request.request_id);
    const auto role = from_wire(body->role.value_or(wire::TokenRole::Node));
    if (!body->network_id && role != model::TokenRole::Relay)
        return error_response(Error{Code::Invalid, "networkId: is required", 0, "/networkId"},
                              call.request.request_id);
    if (auto good = check_token_role(who, role); !good)
        return error_response(good.error(), call.request.request_id);
    auto life = read_duration(body->expires_in.value_or("24h"), "expiresIn", 1s, kLongestLife);
    if (!life) return error_response(life.error(), call.request.request_id);
    auto absence = read_absence(body->ephemeral_after);
    if (!absence) return error_response(absence.error(), call.request.request_id);
    if (auto good = check_may_tag(call.store, who, body->tenant_id, body->tags); !good)
        return error_response(good.error(), call.request.request_id);
    auto keys = context.keys.of(body->tenant_id);
    if (!keys) return error_response(keys.error(), call.request.request_id);

    auto claims = claims_for(context, *body, *life);
    claims.kid = (*keys)->token.kid();
    auto text = pki::make_token(claims, (*keys)->token);
    if (!text) return error_response(text.error(), call.request.request_id);
    auto record = call.store.create_token(claims, *absence);
    if (!record) return error_response(record.error(), call.request.request_id);
    const auto shown = show_at(context)(*record);
    // One that was only tried is of no use to anybody.
    if (call.validate_only)
        return tagged_response(201, wire::TokenCreated{"", record->id, shown}, record->revision);
    log::info("api.token_created", {{"tenant", record->tenant_id},
                                    {"token", record->id},
                                    {"network", record->network_id},
                                    {"uses", record->uses_total}});
    return tagged_response(201, wire::TokenCreated{text->reveal(), record->id, shown},
                           record->revision);
}

http::Response get_token(Context& context, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find(call, who), show_at(context));
}

http::Response delete_token(Context&, const Call& call, const AdminIdentity& who) {
    auto token = find(call, who);
    if (!token) return error_response(token.error(), call.request.request_id);
    auto gone = call.store.delete_token({token->tenant_id, token->id});
    if (gone && !call.validate_only)
        log::info("api.token_deleted", {{"tenant", token->tenant_id}, {"token", token->id}});
    return gone_response(call, gone);
}

http::Response revoke_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto token = find(call, who);
    if (!token) return error_response(token.error(), call.request.request_id);
    auto revoked = call.store.revoke_token({token->tenant_id, token->id});
    if (revoked && !call.validate_only)
        log::info("api.token_revoked", {{"tenant", token->tenant_id}, {"token", token->id}});
    return object_response(call, 200, revoked, show_at(context));
}

}  // namespace cvlan::api
