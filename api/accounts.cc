// SPDX-License-Identifier: Apache-2.0
#include "api/accounts.h"

#include "api/convert.h"
#include "api/error.h"
#include "api/logins.h"
#include "base/log.h"

namespace cvlan::api {

namespace wire = model::wire;
using model::Account;
using model::AccountKind;

namespace {

constexpr std::chrono::hours kInvitationLife{24 * 7};
constexpr std::chrono::hours kResetLife{24};

model::TenantRole from_wire(wire::TenantRole role) {
    switch (role) {
        case wire::TenantRole::Member:
            return model::TenantRole::Member;
        case wire::TenantRole::Auditor:
            return model::TenantRole::Auditor;
        case wire::TenantRole::Admin:
            return model::TenantRole::Admin;
        case wire::TenantRole::Owner:
            return model::TenantRole::Owner;
    }
    return model::TenantRole::Member;
}

// The tenant that a body names, or the caller's own: for the operator that is none.
Result<std::string> tenant_of(const AdminIdentity& who, const std::optional<std::string>& named) {
    if (!named) return who.scope.value_or("");
    if (auto own = check_tenant(who, *named); !own) return failed(own.error());
    return *named;
}

Result<Account> find(Context& context, const Call& call, const AdminIdentity& who,
                     AccountKind kind) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto account = context.store.accounts().get(*scope, call.id);
    if (account && account->kind != kind)
        return fail(Code::NotFound, "account {}: not found", call.id);
    if (account)
        if (auto good = check_no_match(call.request); !good) return failed(good.error());
    return account;
}

Result<store::Page<Account>> page_of(Context& context, const Call& call, const AdminIdentity& who,
                                     AccountKind kind) {
    auto filter = read_filter(call.query, who);
    if (!filter) return failed(filter.error());
    return context.store.accounts().list(*filter, kind);
}

http::Response show(Context& context, const Call& call, const AdminIdentity& who,
                    AccountKind kind) {
    auto account = find(context, call, who, kind);
    if (!account) return error_response(account.error(), call.request.request_id);
    return json_response(200, to_wire(*account));
}

http::Response update(Context& context, const Call& call, const AdminIdentity& who,
                      AccountKind kind) {
    auto body = model::decode<wire::AccountUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto account = find(context, call, who, kind);
    if (!account) return error_response(account.error(), call.request.request_id);
    store::AccountChange change;
    if (body->role) change.role = from_wire(*body->role);
    change.disabled = body->disabled;
    auto changed =
        call.store.accounts().change(who.account, {account->tenant_id, account->id}, change);
    if (!changed) return error_response(changed.error(), call.request.request_id);
    log::info("api.account_changed", {{"tenant", changed->tenant_id},
                                      {"account", changed->id},
                                      {"role", text(model::to_wire(changed->role))},
                                      {"disabled", changed->disabled}});
    return json_response(200, to_wire(*changed));
}

http::Response remove(Context& context, const Call& call, const AdminIdentity& who,
                      AccountKind kind) {
    auto account = find(context, call, who, kind);
    if (!account) return error_response(account.error(), call.request.request_id);
    auto gone = call.store.accounts().remove(who.account, {account->tenant_id, account->id});
    if (!gone) return error_response(gone.error(), call.request.request_id);
    log::info("api.account_deleted", {{"tenant", gone->tenant_id}, {"account", gone->id}});
    return no_content();
}

void log_created(const Account& account) {
    log::info("api.account_created", {{"tenant", account.tenant_id},
                                      {"account", account.id},
                                      {"role", text(model::to_wire(account.role))}});
}

}  // namespace

http::Response list_users(Context& context, const Call& call, const AdminIdentity& who) {
    auto page = page_of(context, call, who, AccountKind::User);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::UserList list;
    for (const Account& account : page->items) list.users.push_back(to_wire(account));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

http::Response create_user(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::UserCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto tenant_id = tenant_of(who, body->tenant_id);
    if (!tenant_id) return error_response(tenant_id.error(), call.request.request_id);
    auto email = model::check_email(body->email);
    if (!email) return error_response(email.error(), call.request.request_id);
    MadeLink link = make_link(context, kInvitationLife);
    auto made = call.store.accounts().create(
        who.account,
        {*tenant_id, AccountKind::User, *email, from_wire(body->role), std::move(link.link)});
    if (!made) return error_response(made.error(), call.request.request_id);
    log_created(*made);
    return json_response(201, wire::UserCreated{to_wire(*made), std::move(link.shown)});
}

http::Response get_user(Context& context, const Call& call, const AdminIdentity& who) {
    return show(context, call, who, AccountKind::User);
}

http::Response update_user(Context& context, const Call& call, const AdminIdentity& who) {
    return update(context, call, who, AccountKind::User);
}

http::Response delete_user(Context& context, const Call& call, const AdminIdentity& who) {
    return remove(context, call, who, AccountKind::User);
}

http::Response create_user_link(Context& context, const Call& call, const AdminIdentity& who) {
    auto account = find(context, call, who, AccountKind::User);
    if (!account) return error_response(account.error(), call.request.request_id);
    const MadeLink link = make_link(context, kResetLife);
    auto invited =
        call.store.accounts().invite(who.account, {account->tenant_id, account->id}, link.link);
    if (!invited) return error_response(invited.error(), call.request.request_id);
    log::info("api.link_created", {{"tenant", invited->tenant_id}, {"account", invited->id}});
    return json_response(201, link.shown);
}

http::Response list_service_accounts(Context& context, const Call& call, const AdminIdentity& who) {
    auto page = page_of(context, call, who, AccountKind::Service);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::ServiceAccountList list;
    for (const Account& account : page->items) list.service_accounts.push_back(to_wire(account));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

http::Response create_service_account(Context&, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::ServiceAccountCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto tenant_id = tenant_of(who, body->tenant_id);
    if (!tenant_id) return error_response(tenant_id.error(), call.request.request_id);
    if (auto name = model::check_name("name", body->name); !name)
        return error_response(name.error(), call.request.request_id);
    auto made = call.store.accounts().create(
        who.account, {*tenant_id, AccountKind::Service, body->name, from_wire(body->role)});
    if (!made) return error_response(made.error(), call.request.request_id);
    log_created(*made);
    return json_response(201, to_wire(*made));
}

http::Response get_service_account(Context& context, const Call& call, const AdminIdentity& who) {
    return show(context, call, who, AccountKind::Service);
}

http::Response update_service_account(Context& context, const Call& call,
                                      const AdminIdentity& who) {
    return update(context, call, who, AccountKind::Service);
}

http::Response delete_service_account(Context& context, const Call& call,
                                      const AdminIdentity& who) {
    return remove(context, call, who, AccountKind::Service);
}

}  // namespace cvlan::api
