// SPDX-License-Identifier: Apache-2.0
#include "api/accounts.h"

#include "api/convert.h"
#include "api/logins.h"
#include "api/respond.h"
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

Result<Account> find(const Call& call, const AdminIdentity& who, AccountKind kind) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto account = call.store.accounts().get(*scope, call.id);
    if (account && account->kind != kind)
        return fail(Code::NotFound, "account {}: not found", call.id);
    return account;
}

wire::Account shown(const Account& account) { return model::to_wire(account); }

template <class List>
http::Response list(const Call& call, const AdminIdentity& who, AccountKind kind,
                    std::vector<wire::Account> List::*items) {
    auto filter = read_account_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.accounts().list(*filter, kind), items, shown);
}

http::Response show(const Call& call, const AdminIdentity& who, AccountKind kind) {
    return object_response(call, 200, find(call, who, kind), shown);
}

http::Response update(const Call& call, const AdminIdentity& who, AccountKind kind) {
    auto body = model::decode<wire::AccountUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto account = find(call, who, kind);
    if (!account) return error_response(account.error(), call.request.request_id);
    store::AccountChange change;
    if (body->role) change.role = from_wire(*body->role);
    change.disabled = body->disabled;
    auto changed =
        call.store.accounts().change(who.account, {account->tenant_id, account->id}, change);
    if (changed && !call.validate_only)
        log::info("api.account_changed", {{"tenant", changed->tenant_id},
                                          {"account", changed->id},
                                          {"role", text(model::to_wire(changed->role))},
                                          {"disabled", changed->disabled}});
    return object_response(call, 200, changed, shown);
}

http::Response remove(const Call& call, const AdminIdentity& who, AccountKind kind) {
    auto account = find(call, who, kind);
    if (!account) return error_response(account.error(), call.request.request_id);
    auto gone = call.store.accounts().remove(who.account, {account->tenant_id, account->id});
    if (!gone) return error_response(gone.error(), call.request.request_id);
    if (!call.validate_only)
        log::info("api.account_deleted", {{"tenant", gone->tenant_id}, {"account", gone->id}});
    return no_content();
}

void log_created(const Call& call, const Account& account) {
    if (call.validate_only) return;
    log::info("api.account_created", {{"tenant", account.tenant_id},
                                      {"account", account.id},
                                      {"role", text(model::to_wire(account.role))}});
}

// One that was only tried is of no use to anybody.
wire::OneTimeLink shown_link(const Call& call, wire::OneTimeLink link) {
    if (call.validate_only) link.link.clear();
    return link;
}

}  // namespace

http::Response list_users(Context&, const Call& call, const AdminIdentity& who) {
    return list(call, who, AccountKind::User, &wire::UserList::users);
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
    if (made) log_created(call, *made);
    return object_response(call, 201, made, [&](const Account& account) {
        return wire::UserCreated{shown(account), shown_link(call, std::move(link.shown))};
    });
}

http::Response get_user(Context&, const Call& call, const AdminIdentity& who) {
    return show(call, who, AccountKind::User);
}

http::Response update_user(Context&, const Call& call, const AdminIdentity& who) {
    return update(call, who, AccountKind::User);
}

http::Response delete_user(Context&, const Call& call, const AdminIdentity& who) {
    return remove(call, who, AccountKind::User);
}

http::Response create_user_link(Context& context, const Call& call, const AdminIdentity& who) {
    auto account = find(call, who, AccountKind::User);
    if (!account) return error_response(account.error(), call.request.request_id);
    MadeLink link = make_link(context, kResetLife);
    auto invited =
        call.store.accounts().invite(who.account, {account->tenant_id, account->id}, link.link);
    if (invited && !call.validate_only)
        log::info("api.link_created", {{"tenant", invited->tenant_id}, {"account", invited->id}});
    return object_response(call, 201, invited,
                           [&](const Account&) { return shown_link(call, std::move(link.shown)); });
}

http::Response list_service_accounts(Context&, const Call& call, const AdminIdentity& who) {
    return list(call, who, AccountKind::Service, &wire::ServiceAccountList::service_accounts);
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
    if (made) log_created(call, *made);
    return object_response(call, 201, made, shown);
}

http::Response get_service_account(Context&, const Call& call, const AdminIdentity& who) {
    return show(call, who, AccountKind::Service);
}

http::Response update_service_account(Context&, const Call& call, const AdminIdentity& who) {
    return update(call, who, AccountKind::Service);
}

http::Response delete_service_account(Context&, const Call& call, const AdminIdentity& who) {
    return remove(call, who, AccountKind::Service);
}

}  // namespace cvlan::api
