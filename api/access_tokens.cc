// SPDX-License-Identifier: Apache-2.0
#include "api/access_tokens.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"
#include "pki/certificate.h"

namespace cvlan::api {

namespace wire = model::wire;
using model::AccessToken;

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::seconds kLongestLife = 24h * 366;
constexpr size_t kShownPrefix = 4;  // of the random part
constexpr size_t kShownSerial = 8;

Result<std::chrono::seconds> read_life(const std::optional<std::string>& text) {
    auto life = parse_duration(text.value_or("30d"));
    if (life && *life >= 1s && *life <= kLongestLife) return life;
    return failed(Error{Code::Invalid, "expiresIn: must be from 1s to 366d", 0, "/expiresIn"});
}

// One's own, or the service account's that the body names.
Result<model::Account> account_of(Context& context, const AdminIdentity& who,
                                  const std::optional<std::string>& service_account_id) {
    auto accounts = context.store.accounts();
    if (service_account_id) {
        auto account = accounts.get(who.scope, *service_account_id);
        if (account && account->kind != model::AccountKind::Service)
            return fail(Code::NotFound, "account {}: not found", *service_account_id);
        return account;
    }
    if (who.account) return accounts.get(who.account->tenant_id, who.account->id);
    return failed(Error{Code::Invalid, "serviceAccountId: whoever asks has no account of their own",
                        0, "/serviceAccountId"});
}

Result<void> check_name(const std::string& name) {
    if (!name.empty() && printable(name) == name) return {};
    return failed(Error{Code::Invalid, "name: must be printable text", 0, "/name"});
}

void log_created(const AccessToken& token) {
    log::info(
        "api.access_token_created",
        {{"tenant", token.tenant_id}, {"account", token.account_id}, {"access_token", token.id}});
}

Result<pki::Csr> read_csr(const std::string& pem) {
    auto csr = pki::Csr::parse(pem);
    if (csr) return csr;
    Error error = csr.error();
    error.pointer = "/csr";
    return failed(error);
}

Result<AccessToken> find(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto token = call.store.accounts().token(*scope, call.id);
    if (!token) return token;
    if (auto own = check_account(who, token->account_id); !own) return failed(own.error());
    return token;
}

wire::AccessToken show(const AccessToken& token) { return model::to_wire(token); }

}  // namespace

http::Response list_access_tokens(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto account = call.query.uuid("account");
    if (!account) return error_response(account.error(), call.request.request_id);
    if (owner_filter(who)) *account = who.account->id;
    return page_response(call, call.store.accounts().tokens(*filter, *account),
                         &wire::AccessTokenList::access_tokens, show);
}

http::Response create_access_token(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::AccessTokenCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    if (auto name = check_name(body->name); !name)
        return error_response(name.error(), call.request.request_id);
    auto life = read_life(body->expires_in);
    if (!life) return error_response(life.error(), call.request.request_id);
    auto account = account_of(context, who, body->service_account_id);
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
    // One that was only tried is of no use to anybody.
    if (call.validate_only)
        return tagged_response(201, wire::AccessTokenCreated{"", show(*made)}, made->revision);
    log_created(*made);
    auto response =
        tagged_response(201, wire::AccessTokenCreated{token.reveal(), show(*made)}, made->revision);
    response.headers.push_back({"Cache-Control", "no-store"});
    return response;
}

http::Response create_certificate(Context& context, const Call& call, const AdminIdentity& who) {
    const std::string& request_id = call.request.request_id;
    auto body = model::decode<wire::CertificateCreate>(call.request.body);
    if (!body) return error_response(body.error(), request_id);
    if (auto name = check_name(body->name); !name) return error_response(name.error(), request_id);
    auto life = read_life(body->expires_in);
    if (!life) return error_response(life.error(), request_id);
    auto csr = read_csr(body->csr);
    if (!csr) return error_response(csr.error(), request_id);
    auto account = account_of(context, who, body->service_account_id);
    if (!account) return error_response(account.error(), request_id);
    auto issued = context.authority->issue_account(*csr, {account->tenant_id, account->id},
                                                   {context.clock.now(), *life});
    if (!issued) return error_response(issued.error(), request_id);
    auto chain = pki::split_chain(issued->chain_pem);
    if (!chain) return error_response(chain.error(), request_id);
    auto made = call.store.accounts().create_token(
        who.account, {{account->tenant_id, account->id},
                      body->name,
                      "x509:" + issued->serial.substr(0, kShownSerial),
                      certificate_hash(chain->front()),
                      issued->not_after});
    if (!made) return error_response(made.error(), request_id);
    log_created(*made);
    return tagged_response(201, wire::CertificateCreated{issued->chain_pem, show(*made)},
                           made->revision);
}

http::Response get_access_token(Context&, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find(call, who), show);
}

http::Response delete_access_token(Context&, const Call& call, const AdminIdentity& who) {
    auto token = find(call, who);
    if (!token) return error_response(token.error(), call.request.request_id);
    auto gone = call.store.accounts().remove_token(who.account, {token->tenant_id, token->id});
    if (!gone) return error_response(gone.error(), call.request.request_id);
    if (!call.validate_only)
        log::info("api.access_token_deleted", {{"tenant", gone->tenant_id},
                                               {"account", gone->account_id},
                                               {"access_token", gone->id}});
    return no_content();
}

}  // namespace cvlan::api
