// SPDX-License-Identifier: Apache-2.0
// The table: every way into the controller, who may take it, and the function behind it.

#include "api/access_tokens.h"
#include "api/accounts.h"
#include "api/audit.h"
#include "api/enrol.h"
#include "api/jobs.h"
#include "api/logins.h"
#include "api/networks.h"
#include "api/nodes.h"
#include "api/objects.h"
#include "api/policies.h"
#include "api/self.h"
#include "api/service.h"
#include "api/tenants.h"
#include "api/token_keys.h"
#include "api/tokens.h"
#include "api/webhooks.h"

namespace cvlan::api {

using enum Needs;

namespace {

const std::vector<Route> kPlainRoutes{
    {Role::Discovery, "GET", "/.well-known/cvlan", discover},
    {Role::Discovery, "GET", "/health", health},
    {Role::Discovery, "GET", "/ready", ready},
    {Role::Discovery, "GET", "/version", version},

    {Role::Registration, "POST", "/api/v1/enrol", OnWorker{enrol_node}},

    {Role::Session, "GET", "/api/v1/node/map", node_map, {"since", "wait", "protocolVersion"}},
    {Role::Session, "PUT", "/api/v1/node/endpoints", report_endpoints},
    {Role::Session, "PUT", "/api/v1/node/inventory", report_inventory},
    {Role::Session, "POST", "/api/v1/node/certificate", renew_certificate},
    {Role::Session, "POST", "/api/v1/node/memberships", join_network},
    {Role::Session, "DELETE", "/api/v1/node", leave},

    {Role::Api,
     "GET",
     "/api/v1/tenants",
     may(Read, list_tenants),
     {"name", "suspended", "orderBy", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/tenants", may(Operator, create_tenant), {"validateOnly"}},
    {Role::Api, "GET", "/api/v1/tenants/{id}", may(Read, get_tenant)},
    {Role::Api, "PATCH", "/api/v1/tenants/{id}", may(Operator, update_tenant), {"validateOnly"}},
    {Role::Api, "DELETE", "/api/v1/tenants/{id}", may(Operator, delete_tenant), {"validateOnly"}},
    {Role::Api, "GET", "/api/v1/tenants/{id}/usage", may(Read, get_tenant_usage)},
    {Role::Api,
     "POST",
     "/api/v1/tenants/{id}/suspend",
     may(Operator, suspend_tenant),
     {"validateOnly"}},
    {Role::Api,
     "POST",
     "/api/v1/tenants/{id}/resume",
     may(Operator, resume_tenant),
     {"validateOnly"}},
    {Role::Api,
     "GET",
     "/api/v1/networks",
     may(Member, list_networks),
     {"tenant", "name", "orderBy", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/networks", may(Write, create_network), {"validateOnly"}},
    {Role::Api, "GET", "/api/v1/networks/{id}", may(Member, get_network), {"tenant"}},
    {Role::Api,
     "PATCH",
     "/api/v1/networks/{id}",
     may(Write, update_network),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "DELETE",
     "/api/v1/networks/{id}",
     may(Write, delete_network),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "GET",
     "/api/v1/tokens",
     may(Member, list_tokens),
     {"tenant", "network", "role", "state", "owner", "orderBy", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/tokens", may(Member, create_token), {"validateOnly"}},
    {Role::Api, "GET", "/api/v1/tokens/{id}", may(Member, get_token), {"tenant"}},
    {Role::Api,
     "DELETE",
     "/api/v1/tokens/{id}",
     may(Member, delete_token),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "POST",
     "/api/v1/tokens/{id}/revoke",
     may(Member, revoke_token),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "GET",
     "/api/v1/token-keys",
     may(Read, list_token_keys),
     {"tenant", "name", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/token-keys", may(Write, create_token_key)},
    {Role::Api, "GET", "/api/v1/token-keys/{id}", may(Read, get_token_key), {"tenant"}},
    {Role::Api, "DELETE", "/api/v1/token-keys/{id}", may(Write, delete_token_key), {"tenant"}},
    {Role::Api,
     "GET",
     "/api/v1/nodes",
     may(Member, list_nodes),
     {"tenant", "network", "name", "state", "tag", "owner", "orderBy", "pageSize", "pageToken"}},
    {Role::Api,
     "POST",
     "/api/v1/nodes/external",
     may(Write, create_external_node),
     {"validateOnly"}},
    {Role::Api, "GET", "/api/v1/nodes/{id}", may(Member, get_node), {"tenant"}},
    {Role::Api,
     "PATCH",
     "/api/v1/nodes/{id}",
     may(Member, update_node),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "DELETE",
     "/api/v1/nodes/{id}",
     may(Member, delete_node),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "POST",
     "/api/v1/nodes/{id}/expire",
     may(Member, expire_node),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "POST",
     "/api/v1/nodes/{id}/revoke",
     may(Member, revoke_node),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "POST",
     "/api/v1/nodes/{id}/approve",
     may(Write, approve_node),
     {"tenant", "validateOnly"}},
    {Role::Api,
     "GET",
     "/api/v1/nodes/{id}/wireguard-config",
     may(Read, wireguard_config),
     {"tenant"}},
    {Role::Api,
     "GET",
     "/api/v1/policies",
     may(Read, list_policies),
     {"tenant", "name", "orderBy", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/policies", may(Write, create_policy), {"validateOnly"}},
    {Role::Api, "GET", "/api/v1/policies/{id}", may(Read, get_policy), {"tenant"}},
    {Role::Api,
     "PUT",
     "/api/v1/policies/{id}",
     may(Write, update_policy),
     {"tenant", "validateOnly"},
     true},
    {Role::Api,
     "DELETE",
     "/api/v1/policies/{id}",
     may(Write, delete_policy),
     {"tenant", "validateOnly"},
     true},
    {Role::Api,
     "GET",
     "/api/v1/policies/{id}/revisions",
     may(Read, list_policy_revisions),
     {"tenant"}},
    {Role::Api,
     "POST",
     "/api/v1/policies/{id}/activate",
     may(Write, activate_policy),
     {"tenant", "validateOnly"}},
    {Role::Api, "GET", "/api/v1/settings", may(Read, get_settings), {"tenant"}},
    {Role::Api,
     "PUT",
     "/api/v1/settings",
     may(Write, update_settings),
     {"tenant", "validateOnly"},
     true},
    {Role::Api, "GET", "/api/v1/quarantine", may(Read, list_quarantine), {"tenant"}},
    {Role::Api,
     "GET",
     "/api/v1/audit",
     may(Read, list_audit),
     {"tenant", "actor", "action", "object", "since", "until", "pageSize", "pageToken"}},
    {Role::Api,
     "GET",
     "/api/v1/audit/export",
     may(Read, export_audit),
     {"tenant", "actor", "action", "object", "since", "until", "pageSize", "pageToken", "format"}},
    {Role::Api,
     "GET",
     "/api/v1/webhooks",
     may(Read, list_webhooks),
     {"tenant", "name", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/webhooks", may(Write, create_webhook)},
    {Role::Api, "GET", "/api/v1/webhooks/{id}", may(Read, get_webhook), {"tenant"}},
    {Role::Api, "PATCH", "/api/v1/webhooks/{id}", may(Write, update_webhook), {"tenant"}},
    {Role::Api,
     "POST",
     "/api/v1/webhooks/{id}/rotate-secret",
     may(Write, rotate_webhook_secret),
     {"tenant"}},
    {Role::Api, "DELETE", "/api/v1/webhooks/{id}", may(Write, delete_webhook), {"tenant"}},
    {Role::Api, "GET", "/api/v1/jobs", may(Operator, list_jobs)},
    {Role::Api, "POST", "/api/v1/jobs/{id}/run", may(Operator, run_job)},
    {Role::Api, "GET", "/api/v1/audit/verify", may(Read, verify_audit), {"tenant"}, false, true},

    {Role::Api, "POST", "/api/v1/auth/login", login},
    {Role::Api, "POST", "/api/v1/auth/links", use_link},
    {Role::Api, "POST", "/api/v1/auth/password", may(Self, change_password)},
    {Role::Api, "GET", "/api/v1/auth/me", may(Self, show_me)},
    {Role::Api, "POST", "/api/v1/auth/logout", may(Self, logout)},
    {Role::Api,
     "GET",
     "/api/v1/users",
     may(Read, list_users),
     {"tenant", "name", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/users", may(Write, create_user)},
    {Role::Api, "GET", "/api/v1/users/{id}", may(Read, get_user), {"tenant"}},
    {Role::Api, "PATCH", "/api/v1/users/{id}", may(Write, update_user), {"tenant"}},
    {Role::Api, "DELETE", "/api/v1/users/{id}", may(Write, delete_user), {"tenant"}},
    {Role::Api, "POST", "/api/v1/users/{id}/link", may(Write, create_user_link), {"tenant"}},
    {Role::Api,
     "GET",
     "/api/v1/service-accounts",
     may(Read, list_service_accounts),
     {"tenant", "name", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/service-accounts", may(Write, create_service_account)},
    {Role::Api, "GET", "/api/v1/service-accounts/{id}", may(Read, get_service_account), {"tenant"}},
    {Role::Api,
     "PATCH",
     "/api/v1/service-accounts/{id}",
     may(Write, update_service_account),
     {"tenant"}},
    {Role::Api,
     "DELETE",
     "/api/v1/service-accounts/{id}",
     may(Write, delete_service_account),
     {"tenant"}},
    {Role::Api,
     "GET",
     "/api/v1/access-tokens",
     may(Self, list_access_tokens),
     {"tenant", "account", "name", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/access-tokens", may(Self, create_access_token)},
    {Role::Api, "POST", "/api/v1/certificates", may(Self, create_certificate)},
    {Role::Api, "GET", "/api/v1/access-tokens/{id}", may(Self, get_access_token), {"tenant"}},
    {Role::Api, "DELETE", "/api/v1/access-tokens/{id}", may(Self, delete_access_token), {"tenant"}},
};

// Five ways to each of the nouns that are alike.
std::vector<Route> with_objects(std::vector<Route> all) {
    for (const ObjectNoun& noun : object_nouns()) {
        all.push_back({Role::Api,
                       "GET",
                       noun.all,
                       may(Read, noun.list),
                       {"tenant", "name", "orderBy", "pageSize", "pageToken"}});
        all.push_back({Role::Api, "POST", noun.all, may(Write, noun.create), {"validateOnly"}});
        all.push_back({Role::Api, "GET", noun.one, may(Read, noun.get), {"tenant"}});
        all.push_back(
            {Role::Api, "PUT", noun.one, may(Write, noun.update), {"tenant", "validateOnly"}});
        all.push_back(
            {Role::Api, "DELETE", noun.one, may(Write, noun.remove), {"tenant", "validateOnly"}});
    }
    return all;
}

}  // namespace

std::span<const Route> routes() {
    static const std::vector<Route> kRoutes = with_objects(kPlainRoutes);
    return kRoutes;
}

}  // namespace cvlan::api
