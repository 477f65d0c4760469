// SPDX-License-Identifier: Apache-2.0
// The table: every way into the controller, who may take it, and the function behind it.

#include "api/audit.h"
#include "api/enrol.h"
#include "api/networks.h"
#include "api/nodes.h"
#include "api/self.h"
#include "api/service.h"
#include "api/tenants.h"
#include "api/token_keys.h"
#include "api/tokens.h"

namespace cvlan::api {

using enum Needs;

namespace {

const std::vector<Route> kRoutes{
    {Role::Discovery, "GET", "/.well-known/cvlan", discover},
    {Role::Discovery, "GET", "/health", health},
    {Role::Discovery, "GET", "/ready", ready},
    {Role::Discovery, "GET", "/version", version},

    {Role::Registration, "POST", "/api/v1/enrol", enrol_node},

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
     {"name", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/tenants", may(Operator, create_tenant)},
    {Role::Api, "GET", "/api/v1/tenants/{id}", may(Read, get_tenant)},
    {Role::Api, "PATCH", "/api/v1/tenants/{id}", may(Operator, update_tenant)},
    {Role::Api, "DELETE", "/api/v1/tenants/{id}", may(Operator, delete_tenant)},
    {Role::Api,
     "GET",
     "/api/v1/networks",
     may(Read, list_networks),
     {"tenant", "name", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/networks", may(Write, create_network)},
    {Role::Api, "GET", "/api/v1/networks/{id}", may(Read, get_network), {"tenant"}},
    {Role::Api, "PATCH", "/api/v1/networks/{id}", may(Write, update_network), {"tenant"}},
    {Role::Api, "DELETE", "/api/v1/networks/{id}", may(Write, delete_network), {"tenant"}},
    {Role::Api,
     "GET",
     "/api/v1/tokens",
     may(Read, list_tokens),
     {"tenant", "pageSize", "pageToken"}},
    {Role::Api, "POST", "/api/v1/tokens", may(Write, create_token)},
    {Role::Api, "GET", "/api/v1/tokens/{id}", may(Read, get_token), {"tenant"}},
    {Role::Api, "DELETE", "/api/v1/tokens/{id}", may(Write, delete_token), {"tenant"}},
    {Role::Api, "POST", "/api/v1/tokens/{id}/revoke", may(Write, revoke_token), {"tenant"}},
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
     may(Read, list_nodes),
     {"tenant", "network", "name", "pageSize", "pageToken"}},
    {Role::Api, "GET", "/api/v1/nodes/{id}", may(Read, get_node), {"tenant"}},
    {Role::Api, "PATCH", "/api/v1/nodes/{id}", may(Write, update_node), {"tenant"}},
    {Role::Api, "DELETE", "/api/v1/nodes/{id}", may(Write, delete_node), {"tenant"}},
    {Role::Api, "POST", "/api/v1/nodes/{id}/expire", may(Write, expire_node), {"tenant"}},
    {Role::Api, "POST", "/api/v1/nodes/{id}/revoke", may(Write, revoke_node), {"tenant"}},
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
    {Role::Api, "GET", "/api/v1/audit/verify", may(Read, verify_audit), {"tenant"}},
};

}  // namespace

std::span<const Route> routes() { return kRoutes; }

}  // namespace cvlan::api
