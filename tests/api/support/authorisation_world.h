// SPDX-License-Identifier: Apache-2.0
#pragma once

// Two tenants with everything in them, and everybody who may come and ask.

#include <set>

#include "tests/api/fixture.h"

namespace cvlan::api {

// In the order of Line's columns.
enum Asker {
    Anonymous,
    Node,
    OtherNode,
    ForeignId,
    Member,
    Auditor,
    TenantAdmin,
    Owner,
    OtherAdmin,
    Reader,
    Operator,
    kAskers
};

struct AuthorisationTest : ApiTest {
    AuthorisationTest();

    std::string tenant = make_tenant("acme");
    std::string network = make_network(tenant, "10.100.0.0/24", "office");
    std::string further = make_network(tenant, "10.101.0.0/24", "lab");
    std::string other_tenant = make_tenant("other");
    std::string elsewhere = make_network(other_tenant, "10.200.0.0/24", "else");
    model::wire::TokenCreated token{};
    TestNode node = new_node();
    TestNode other = new_node();
    model::Account member, auditor, admin, owner, other_admin, with_password;
    int made = 0;
    std::set<std::string> have_vrouter;  // networks
    std::string asked_before[kAskers];

    bool are_spoiled = true;
    void make_nodes();
    Caller caller(Asker who);
    Caller with_token(const model::Account& account);
    // Of one width: none is the beginning of another, which a search for it would find.
    std::string unique(const std::string& what) { return fmt::format("{}-{:05}", what, ++made); }
    model::Account user(const std::string& tenant_id, model::TenantRole role,
                        model::AccountKind kind = model::AccountKind::User);
    std::string access_token(const model::Account& account, const std::string& secret);
    // Made by `account`, or by the operator.
    std::string token_for(const std::string& of_tenant, const std::string& of_network,
                          const model::Account* account, bool wants_node);

    // Every write leaves an event; a node's row that is only seen or inventoried leaves none.
    int64_t changes();
    // What nobody outside of the tenant may be told.
    std::vector<std::string> canaries();
    // What a MEMBER may not be told.
    std::vector<std::string> canaries_of_siblings();

private:
    Caller bare_caller(Asker who);
    void give_password(const model::Account& account);
    std::string forged();
};

// Makes an object, or a request's body.
using Text = std::string (*)(AuthorisationTest&);
std::string missing(AuthorisationTest& t);
std::string tenant_id(AuthorisationTest& t);
std::string other_tenant_id(AuthorisationTest& t);
std::string spare_tenant(AuthorisationTest& t);
std::string network_id(AuthorisationTest& t);
std::string spare_network(AuthorisationTest& t);
std::string foreign_network(AuthorisationTest& t);
std::string own_token(AuthorisationTest& t);
std::string sibling_token(AuthorisationTest& t);
std::string foreign_token(AuthorisationTest& t);
std::string token_key_id(AuthorisationTest& t);
std::string foreign_token_key(AuthorisationTest& t);
std::string own_node(AuthorisationTest& t);
std::string sibling_node(AuthorisationTest& t);
std::string foreign_node(AuthorisationTest& t);
std::string webhook_id(AuthorisationTest& t);
std::string foreign_webhook(AuthorisationTest& t);
std::string job_id(AuthorisationTest& t);
std::string own_user(AuthorisationTest& t);
std::string owner_user(AuthorisationTest& t);
std::string foreign_user(AuthorisationTest& t);
std::string own_service(AuthorisationTest& t);
std::string owner_service(AuthorisationTest& t);
std::string foreign_service(AuthorisationTest& t);
std::string own_access_token(AuthorisationTest& t);
std::string sibling_access_token(AuthorisationTest& t);
std::string foreign_access_token(AuthorisationTest& t);

std::string object_in(AuthorisationTest& t, const std::string& tenant, model::ObjectKind kind);
template <model::ObjectKind kind>
std::string own_object(AuthorisationTest& t) {
    return object_in(t, t.tenant, kind);
}
template <model::ObjectKind kind>
std::string foreign_object(AuthorisationTest& t) {
    return object_in(t, t.other_tenant, kind);
}
std::string own_connection(AuthorisationTest& t);
std::string foreign_connection(AuthorisationTest& t);
std::string new_connection(AuthorisationTest& t);
std::string own_policy(AuthorisationTest& t);
std::string foreign_policy(AuthorisationTest& t);
std::string own_external(AuthorisationTest& t);
std::string foreign_external(AuthorisationTest& t);
std::string suspended_tenant(AuthorisationTest& t);

std::string new_name(AuthorisationTest& t);
std::string new_object(AuthorisationTest& t);
std::string new_policy(AuthorisationTest& t);
std::string new_source(AuthorisationTest& t);
std::string first_number(AuthorisationTest& t);
std::string some_settings(AuthorisationTest& t);
std::string new_external(AuthorisationTest& t);
std::string inventory(AuthorisationTest& t);
std::string endpoints(AuthorisationTest& t);
std::string health(AuthorisationTest& t);
std::string csr(AuthorisationTest& t);
std::string enrolment(AuthorisationTest& t);
std::string joining(AuthorisationTest& t);
std::string new_network(AuthorisationTest& t);
std::string new_token(AuthorisationTest& t);
std::string new_token_key(AuthorisationTest& t);
std::string password(AuthorisationTest& t);
std::string own_password(AuthorisationTest& t);
std::string link_of_user(AuthorisationTest& t);
std::string new_user(AuthorisationTest& t);
std::string new_service_account(AuthorisationTest& t);
std::string new_access_token(AuthorisationTest& t);
std::string new_certificate(AuthorisationTest& t);
std::string new_webhook(AuthorisationTest& t);
std::string enabling(AuthorisationTest& t);
std::string disabling(AuthorisationTest& t);

}  // namespace cvlan::api
