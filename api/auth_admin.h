// SPDX-License-Identifier: Apache-2.0
#pragma once

// What those who administer may; who they are is established in auth_credentials.h. The router asks
// here before it calls a handler; a handler of administration has an AdminIdentity among its
// parameters and can not be called without one. The tenant of a caller is its identity's, never a
// header's or a body's: what those name is only held against it.

#include <optional>
#include <string>
#include <string_view>

#include "api/auth.h"
#include "api/query.h"
#include "model/accounts.h"
#include "model/objects.h"
#include "store/accounts.h"

namespace cvlan::api {

// What a route asks of who calls it; api/routes.cc has it beside each handler.
enum class Needs {
    Self,      // anybody with an account: it is about that account alone
    Member,    // MEMBER, for what he owns (check_owner); an AUDITOR looks, an ADMIN changes
    Read,      // AUDITOR
    Write,     // ADMIN
    Operator,  // above tenants: an AUDITOR there to look, an OWNER to change
};

struct AdminIdentity {
    std::string actor;   // "operator:0", "user:<id>", "service-account:<id>"
    store::Scope scope;  // its tenant; none: the operator, above tenants
    model::TenantRole role = model::TenantRole::Member;
    store::Granter account{};     // none: on the socket
    std::string credential_id{};  // of the access token, certificate or session
    bool by_session = false;
    bool is_operator() const { return !scope.has_value(); }
};

// The operator on the unix socket, by the kernel's word: root and the controller's own user may
// write, the socket's group may read. 401 elsewhere.
Verdict<AdminIdentity> admin_on_socket(const http::Request& request);

// Why `who` may not take a route that needs this; nullopt where it may. 403 whichever object it is
// about, so that no id is told from another.
std::optional<http::Response> refuse_role(const AdminIdentity& who, Needs needs,
                                          const http::Request& request);

// The tenant to look in: the caller's own, or for the operator the one that the query names, or
// all. NotFound where a query names another than the caller's.
Result<store::Scope> scope_of(const AdminIdentity& who, const Query& query);
// Whose objects alone it may see; none: all of its tenant.
std::optional<std::string> owner_filter(const AdminIdentity& who);
// NotFound where a MEMBER asks for what is not theirs.
Result<void> check_owner(const AdminIdentity& who, const std::string& owner);
// Likewise for what is of an account, by its id.
Result<void> check_account(const AdminIdentity& who, const std::string& account_id);
// A MEMBER's tokens admit machines of theirs: neither vrouters nor relays.
Result<void> check_token_role(const AdminIdentity& who, model::TokenRole role);
// Holds a tenant that a body or path names against the caller's own; NotFound for another.
Result<void> check_tenant(const AdminIdentity& who, const std::string& tenant_id);

}  // namespace cvlan::api
