// SPDX-License-Identifier: Apache-2.0
#include "api/auth_admin.h"

#include <unistd.h>

#include "api/error.h"
#include "base/bytes.h"

namespace cvlan::api {

using model::TenantRole;

namespace {

bool is_write(const http::Request& request) { return request.method != "GET"; }

TenantRole least_role(Needs needs, bool writes) {
    switch (needs) {
        case Needs::Self:
        case Needs::Member:
            return TenantRole::Member;
        case Needs::Read:
            return TenantRole::Auditor;
        case Needs::Write:
            return TenantRole::Admin;
        case Needs::Operator:
            return writes ? TenantRole::Owner : TenantRole::Auditor;
    }
    return TenantRole::Owner;
}

}  // namespace

Verdict<AdminIdentity> admin_on_socket(const http::Request& request) {
    if (!request.local)
        return refusal(401, "UNAUTHENTICATED", "this is no unix socket", request.request_id);
    const uid_t uid = request.local->uid;
    const bool may_write = uid == 0 || uid == getuid();
    return AdminIdentity{
        fmt::format("operator:{}", uid), {}, may_write ? TenantRole::Owner : TenantRole::Auditor};
}

std::optional<http::Response> refuse_role(const AdminIdentity& who, Needs needs,
                                          const http::Request& request) {
    const bool writes = is_write(request);
    if (needs == Needs::Operator && !who.is_operator())
        return refusal(403, "OPERATOR_ONLY", "this is the operator's, who stands above tenants",
                       request.request_id);
    const bool is_about_itself = needs == Needs::Self && who.account;
    if (writes && who.role == TenantRole::Auditor && !is_about_itself)
        return refusal(403, "READ_ONLY", "whoever asks may look but not change",
                       request.request_id);
    if (who.role < least_role(needs, writes))
        return refusal(403, "ROLE_TOO_LOW", "the role of whoever asks does not allow this",
                       request.request_id);
    return std::nullopt;
}

Result<store::Scope> scope_of(const AdminIdentity& who, const Query& query) {
    auto named = query.uuid("tenant");
    if (!named) return failed(named.error());
    if (*named)
        if (auto own = check_tenant(who, **named); !own) return failed(own.error());
    return who.is_operator() ? *named : who.scope;
}

std::optional<std::string> owner_filter(const AdminIdentity& who) {
    if (who.role == TenantRole::Member) return who.actor;
    return std::nullopt;
}

Result<void> check_owner(const AdminIdentity& who, const std::string& owner) {
    if (who.role == TenantRole::Member && who.actor != owner)
        return fail(Code::NotFound, "not found");
    return {};
}

Result<void> check_account(const AdminIdentity& who, const std::string& account_id) {
    if (who.role == TenantRole::Member && (!who.account || who.account->id != account_id))
        return fail(Code::NotFound, "not found");
    return {};
}

Result<void> check_token_role(const AdminIdentity& who, model::TokenRole role) {
    if (who.role == TenantRole::Member && role != model::TokenRole::Node)
        return fail_as("ROLE_TOO_LOW", Code::Denied, "a MEMBER's tokens have the role NODE");
    return {};
}

Result<void> check_tenant(const AdminIdentity& who, const std::string& tenant_id) {
    if (who.is_operator() || *who.scope == tenant_id) return {};
    return fail(Code::NotFound, "tenant {}: not found", printable(tenant_id));
}

}  // namespace cvlan::api
