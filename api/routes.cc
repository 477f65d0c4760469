// SPDX-License-Identifier: Apache-2.0
// The table: every way into the controller, who may take it, and the function behind it.

#include "api/enrol.h"
#include "api/networks.h"
#include "api/nodes.h"
#include "api/self.h"
#include "api/service.h"
#include "api/tenants.h"
#include "api/tokens.h"

namespace cvlan::api {

std::span<const Route> routes() {
    static const std::vector<Route> kRoutes{
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

        {Role::Api, "GET", "/api/v1/tenants", list_tenants, {"name", "pageSize", "pageToken"}},
        {Role::Api, "POST", "/api/v1/tenants", create_tenant},
        {Role::Api, "GET", "/api/v1/tenants/{id}", get_tenant},
        {Role::Api, "PATCH", "/api/v1/tenants/{id}", update_tenant},
        {Role::Api, "DELETE", "/api/v1/tenants/{id}", delete_tenant},
        {Role::Api,
         "GET",
         "/api/v1/networks",
         list_networks,
         {"tenant", "name", "pageSize", "pageToken"}},
        {Role::Api, "POST", "/api/v1/networks", create_network},
        {Role::Api, "GET", "/api/v1/networks/{id}", get_network, {"tenant"}},
        {Role::Api, "PATCH", "/api/v1/networks/{id}", update_network, {"tenant"}},
        {Role::Api, "DELETE", "/api/v1/networks/{id}", delete_network, {"tenant"}},
        {Role::Api, "GET", "/api/v1/tokens", list_tokens, {"tenant", "pageSize", "pageToken"}},
        {Role::Api, "POST", "/api/v1/tokens", create_token},
        {Role::Api, "GET", "/api/v1/tokens/{id}", get_token, {"tenant"}},
        {Role::Api, "DELETE", "/api/v1/tokens/{id}", delete_token, {"tenant"}},
        {Role::Api, "POST", "/api/v1/tokens/{id}/revoke", revoke_token, {"tenant"}},
        {Role::Api,
         "GET",
         "/api/v1/nodes",
         list_nodes,
         {"tenant", "network", "name", "pageSize", "pageToken"}},
        {Role::Api, "GET", "/api/v1/nodes/{id}", get_node, {"tenant"}},
        {Role::Api, "PATCH", "/api/v1/nodes/{id}", update_node, {"tenant"}},
        {Role::Api, "DELETE", "/api/v1/nodes/{id}", delete_node, {"tenant"}},
        {Role::Api, "POST", "/api/v1/nodes/{id}/expire", expire_node, {"tenant"}},
        {Role::Api, "POST", "/api/v1/nodes/{id}/revoke", revoke_node, {"tenant"}},
    };
    return kRoutes;
}

}  // namespace cvlan::api
