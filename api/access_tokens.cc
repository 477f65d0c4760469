// SPDX-License-Identifier: Apache-2.0
#include "api/access_tokens.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;
using model::AccessToken;

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::seconds kLongestLife = 24h * 366;
constexpr size_t kShownPrefix = 4;  // of the random part

Result<std::chrono::seconds> read_life(const std::optional<std::string>& text) {
    auto life = parse_duration(text.value_or("30d"));
    if (life && *life >= 1s && *life <= kLongestLife) return life;
    return failed(Error{Code::Invalid, "expiresIn: must be from 1s to 366d", 0, "/expiresIn"});
}

// One's own, or the service account's that the body names.
Result<model::Account> account_of(Context& context, const AdminIdentity& who,
                                  const wire::AccessTokenCreate& body) {
    auto accounts = context.store.accounts();
    if (body.service_account_id) {
        auto account = accounts.get(who.scope, *body.service_account_id);
        if (account && account->kind != model::AccountKind::Service)
            return fail(Code::NotFound, "account {}: not found", *body.service_account_id);
        return account;
    }
    if (who.account) return accounts.get(who.account->tenant_id, who.account->id);
    return failed(Error{Code::Invalid, "serviceAccountId: whoever asks has no account of their own",
                        0, "/serviceAccountId"});
}

Result<AccessToken> find(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto token = context.store.accounts().token(*scope, call.id);
    if (token)
        if (auto own = check_account(who, token->account_id); !own) return failed(own.error());
    return token;
}

}  // namespace

http::Response list_access_tokens(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto account = call.query.uuid("account");
    if (!account) return error_response(account.error(), call.request.request_id);
    if (owner_filter(who)) *account = who.account->id;
    auto page = context.store.accounts().tokens(*filter, *account);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::AccessTokenList list;
    for (const AccessToken& token : page->items) list.access_tokens.push_back(to_wire(token));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

http::Response create_access_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::AccessTokenCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    if (body->name.empty() || printable(body->name) != body->name)
        return error_response({Code::Invalid, "name: must be printable text", 0, "/name"},
                              call.request.request_id);
    auto life = read_life(body->expires_in);
    if (!life) return error_response(life.error(), call.request.request_id);
    auto account = account_of(context, who, *body);
    if (!account) return error_response(account.error(), call.request.request_id);
    const bool is_service = account->kind == model::AccountKind::Service;
    const std::string kind = is_service ? "cvlan_sa_" : "cvlan_pat_";
    const SecretText token(kind + base64url(random_bytes(32)));
    auto made = call.store.accounts().create_token(
        who.account, {{account->tenant_id, account->id},
                      body->name,
                      token.reveal().substr(0, kind.size() + kShownPrefix),
                      hex(sha256(as_bytes(token.reveal()))),
                      context.clock.now() + *life});
    if (!made) return error_response(made.error(), call.request.request_id);
    log::info(
        "api.access_token_created",
        {{"tenant", made->tenant_id}, {"account", made->account_id}, {"access_token", made->id}});
    auto response = json_response(201, wire::AccessTokenCreated{token.reveal(), to_wire(*made)});
    response.headers.push_back({"Cache-Control", "no-store"});
    return response;
}

http::Response get_access_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto token = find(context, call, who);
    if (!token) return error_response(token.error(), call.request.request_id);
    return json_response(200, to_wire(*token));
}

http::Response delete_access_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto token = find(context, call, who);
    if (!token) return error_response(token.error(), call.request.request_id);
    auto gone = call.store.accounts().remove_token(who.account, {token->tenant_id, token->id});
    if (!gone) return error_response(gone.error(), call.request.request_id);
    log::info(
        "api.access_token_deleted",
        {{"tenant", gone->tenant_id}, {"account", gone->account_id}, {"access_token", gone->id}});
    return no_content();
}

}  // namespace cvlan::api
