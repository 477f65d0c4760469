// SPDX-License-Identifier: Apache-2.0
#include "tests/api/support/authorisation_table.h"

namespace cvlan::api {
namespace {

using model::ObjectKind;

// 401: a credential is needed. 403: this one may not, whichever object it is about. 404: what is
// another's is not there; on the socket, a node's routes are not served. In the order of Asker:
// anonymous, node, other node, forged node, MEMBER, AUDITOR, ADMIN, OWNER, other ADMIN,
// reader on the socket, operator
// clang-format off
constexpr Line kPublic         {Ok, Ok, Ok, Ok,  Ok, Ok, Ok, Ok, Ok,  Ok, Ok};
constexpr Line kAnybody        {401, 401, 401, 401,  Ok, Ok, Ok, Ok, Ok,  Ok, Ok};
constexpr Line kReads          {401, 401, 401, 401,  403, Ok, Ok, Ok, Ok,  Ok, Ok};
constexpr Line kCreates        {401, 401, 401, 401,  403, 403, Ok, Ok, 404,  403, Ok};
constexpr Line kMemberCreates  {401, 401, 401, 401,  Ok, 403, Ok, Ok, 404,  403, Ok};
constexpr Line kOperatorCreates{401, 401, 401, 401,  403, 403, 403, 403, 403,  403, Ok};
constexpr Line kOperatorReads  {401, 401, 401, 401,  403, 403, 403, 403, 403,  Ok, Ok};
// On the socket nobody has an account of their own.
constexpr Line kOwnCreates     {401, 401, 401, 401,  Ok, Ok, Ok, Ok, Ok,  403, 400};
// Of one tenant: who stands above them must name it.
constexpr Line kOwnSettings    {401, 401, 401, 401,  403, Ok, Ok, Ok, Ok,  400, 400};
constexpr Line kSetsSettings   {401, 401, 401, 401,  403, 403, Ok, Ok, Ok,  403, 400};
constexpr Line kLogout         {401, 401, 401, 401,  Ok, Ok, Ok, Ok, Ok,  403, Ok};

constexpr ById kMemberLooks{
    {401, 401, 401, 401,  Ok, Ok, Ok, Ok, 404,  Ok, Ok},
    {401, 401, 401, 401,  404, Ok, Ok, Ok, 404,  Ok, Ok},
    {401, 401, 401, 401,  404, 404, 404, 404, Ok,  Ok, Ok},
    {401, 401, 401, 401,  404, 404, 404, 404, 404,  404, 404}};
constexpr ById kMemberChanges{
    {401, 401, 401, 401,  Ok, 403, Ok, Ok, 404,  403, Ok},
    {401, 401, 401, 401,  404, 403, Ok, Ok, 404,  403, Ok},
    {401, 401, 401, 401,  404, 403, 404, 404, Ok,  403, Ok},
    {401, 401, 401, 401,  404, 403, 404, 404, 404,  403, 404}};
// A MEMBER names a network in its tokens.
constexpr ById kNetworkLooks{
    {401, 401, 401, 401,  Ok, Ok, Ok, Ok, 404,  Ok, Ok},
    {401, 401, 401, 401,  Ok, Ok, Ok, Ok, 404,  Ok, Ok},
    {401, 401, 401, 401,  404, 404, 404, 404, Ok,  Ok, Ok},
    {401, 401, 401, 401,  404, 404, 404, 404, 404,  404, 404}};
constexpr ById kLooks{
    {401, 401, 401, 401,  403, Ok, Ok, Ok, 404,  Ok, Ok},
    {401, 401, 401, 401,  403, Ok, Ok, Ok, 404,  Ok, Ok},
    {401, 401, 401, 401,  403, 404, 404, 404, Ok,  Ok, Ok},
    {401, 401, 401, 401,  403, 404, 404, 404, 404,  404, 404}};
constexpr ById kChanges{
    {401, 401, 401, 401,  403, 403, Ok, Ok, 404,  403, Ok},
    {401, 401, 401, 401,  403, 403, Ok, Ok, 404,  403, Ok},
    {401, 401, 401, 401,  403, 403, 404, 404, Ok,  403, Ok},
    {401, 401, 401, 401,  403, 403, 404, 404, 404,  403, 404}};
constexpr ById kOperatorLooks{
    {401, 401, 401, 401,  403, 403, 403, 403, 403,  Ok, Ok},
    {401, 401, 401, 401,  403, 403, 403, 403, 403,  Ok, Ok},
    {401, 401, 401, 401,  403, 403, 403, 403, 403,  Ok, Ok},
    {401, 401, 401, 401,  403, 403, 403, 403, 403,  404, 404}};
constexpr ById kOperatorChanges{
    {401, 401, 401, 401,  403, 403, 403, 403, 403,  403, Ok},
    {401, 401, 401, 401,  403, 403, 403, 403, 403,  403, Ok},
    {401, 401, 401, 401,  403, 403, 403, 403, 403,  403, Ok},
    {401, 401, 401, 401,  403, 403, 403, 403, 403,  403, 404}};
// The sibling is an OWNER: no ADMIN touches it.
constexpr ById kAccountChanges{
    {401, 401, 401, 401,  403, 403, Ok, Ok, 404,  403, Ok},
    {401, 401, 401, 401,  403, 403, 403, Ok, 404,  403, Ok},
    {401, 401, 401, 401,  403, 403, 404, 404, Ok,  403, Ok},
    {401, 401, 401, 401,  403, 403, 404, 404, 404,  403, 404}};
// The sibling's is the AUDITOR's own.
constexpr ById kAccessTokenChanges{
    {401, 401, 401, 401,  Ok, 403, Ok, Ok, 404,  403, Ok},
    {401, 401, 401, 401,  404, Ok, Ok, Ok, 404,  403, Ok},
    {401, 401, 401, 401,  404, 404, 404, 404, Ok,  403, Ok},
    {401, 401, 401, 401,  404, 404, 404, 404, 404,  403, 404}};

const FlatRow kFlatRows[] = {
    {"GET /.well-known/cvlan", 200, kPublic},
    {"GET /health", 200, kPublic},
    {"GET /ready", 200, kPublic},
    {"GET /version", 200, kPublic},

    {"POST /api/v1/enrol", 201, {Ok, Ok, Ok, Ok,  Ok, Ok, Ok, Ok, Ok,  404, 404}, enrolment},
    {"GET /api/v1/node/map", 200, {401, Ok, Ok, 403,  401, 401, 401, 401, 401,  404, 404}},
    {"PUT /api/v1/node/endpoints", 204, {401, Ok, 404, 403,  401, 401, 401, 401, 401,  404, 404}, endpoints},
    {"PUT /api/v1/node/inventory", 204, {401, Ok, Ok, 403,  401, 401, 401, 401, 401,  404, 404}, inventory},
    {"PUT /api/v1/node/health", 204, {401, Ok, Ok, 403,  401, 401, 401, 401, 401,  404, 404}, health},
    {"POST /api/v1/node/relay-grants", 200, {401, Ok, Ok, 403,  401, 401, 401, 401, 401,  404, 404}},
    {"GET /api/v1/node/ipsec-secrets", 200, {401, Ok, Ok, 403,  401, 401, 401, 401, 401,  404, 404}},
    {"POST /api/v1/node/certificate", 201, {401, Ok, Ok, 403,  401, 401, 401, 401, 401,  404, 404}, csr},
    {"POST /api/v1/node/memberships", 201, {401, Ok, 401, 403,  401, 401, 401, 401, 401,  404, 404}, joining},
    {"DELETE /api/v1/node", 204, {401, Ok, Ok, 403,  401, 401, 401, 401, 401,  404, 404}},

    {"GET /api/v1/tenants", 200, kReads},
    {"POST /api/v1/tenants", 201, kOperatorCreates, new_name},
    {"GET /api/v1/networks", 200, kAnybody},
    {"POST /api/v1/networks", 201, kCreates, new_network},
    {"GET /api/v1/tokens", 200, kAnybody},
    {"POST /api/v1/tokens", 201, kMemberCreates, new_token},
    {"GET /api/v1/token-keys", 200, kReads},
    {"POST /api/v1/token-keys", 201, kCreates, new_token_key},
    {"GET /api/v1/nodes", 200, kAnybody},
    {"GET /api/v1/webhooks", 200, kReads},
    {"POST /api/v1/webhooks", 201, kCreates, new_webhook},
    {"GET /api/v1/jobs", 200, kOperatorReads},
    {"GET /api/v1/audit", 200, kReads},
    {"GET /api/v1/audit/export", 200, kReads},
    {"GET /api/v1/audit/verify", 200, kReads},

    {"POST /api/v1/nodes/external", 201, kCreates, new_external},
    {"GET /api/v1/tags", 200, kReads},
    {"POST /api/v1/tags", 201, kCreates, new_object},
    {"GET /api/v1/groups", 200, kReads},
    {"POST /api/v1/groups", 201, kCreates, new_object},
    {"GET /api/v1/regions", 200, kReads},
    {"POST /api/v1/regions", 201, kCreates, new_object},
    {"GET /api/v1/relays", 200, kReads},
    {"POST /api/v1/relays", 201, kCreates, new_object},
    {"GET /api/v1/vrouters", 200, kReads},
    {"POST /api/v1/vrouters", 201, kCreates, new_object},
    {"GET /api/v1/ipsec-connections", 200, kReads},
    {"POST /api/v1/ipsec-connections", 201, kCreates, new_connection},
    {"GET /api/v1/policies", 200, kReads},
    {"POST /api/v1/policies", 201, kCreates, new_policy},
    {"GET /api/v1/settings", 200, kOwnSettings},
    {"PUT /api/v1/settings", 200, kSetsSettings, some_settings},
    {"GET /api/v1/quarantine", 200, kReads},

    {"POST /api/v1/auth/login", 201, kPublic, password},
    {"POST /api/v1/auth/links", 200, kPublic, link_of_user},
    {"POST /api/v1/auth/password", 204, kOwnCreates, own_password},
    {"GET /api/v1/auth/me", 200, kAnybody},
    {"POST /api/v1/auth/logout", 204, kLogout},
    {"GET /api/v1/users", 200, kReads},
    {"POST /api/v1/users", 201, kCreates, new_user},
    {"GET /api/v1/service-accounts", 200, kReads},
    {"POST /api/v1/service-accounts", 201, kCreates, new_service_account},
    {"GET /api/v1/access-tokens", 200, kAnybody},
    {"POST /api/v1/access-tokens", 201, kOwnCreates, new_access_token},
    {"POST /api/v1/certificates", 201, kOwnCreates, new_certificate},
};

const IdRow kIdRows[] = {
    {"GET /api/v1/tenants/{id}", 200, kLooks, tenant_id, tenant_id, other_tenant_id},
    {"PATCH /api/v1/tenants/{id}", 200, kOperatorChanges, spare_tenant, spare_tenant, spare_tenant, new_name},
    {"DELETE /api/v1/tenants/{id}", 204, kOperatorChanges, spare_tenant, spare_tenant, spare_tenant},
    {"GET /api/v1/networks/{id}", 200, kNetworkLooks, network_id, spare_network, foreign_network},
    {"PATCH /api/v1/networks/{id}", 200, kChanges, network_id, spare_network, foreign_network, new_name},
    {"DELETE /api/v1/networks/{id}", 204, kChanges, spare_network, spare_network, foreign_network},
    {"GET /api/v1/tokens/{id}", 200, kMemberLooks, own_token, sibling_token, foreign_token},
    {"DELETE /api/v1/tokens/{id}", 204, kMemberChanges, own_token, sibling_token, foreign_token},
    {"POST /api/v1/tokens/{id}/revoke", 200, kMemberChanges, own_token, sibling_token, foreign_token},
    {"GET /api/v1/token-keys/{id}", 200, kLooks, token_key_id, token_key_id, foreign_token_key},
    {"DELETE /api/v1/token-keys/{id}", 204, kChanges, token_key_id, token_key_id, foreign_token_key},
    {"GET /api/v1/nodes/{id}", 200, kMemberLooks, own_node, sibling_node, foreign_node},
    {"PATCH /api/v1/nodes/{id}", 200, kMemberChanges, own_node, sibling_node, foreign_node, new_name},
    {"DELETE /api/v1/nodes/{id}", 204, kMemberChanges, own_node, sibling_node, foreign_node},
    {"POST /api/v1/nodes/{id}/expire", 200, kMemberChanges, own_node, sibling_node, foreign_node},
    {"POST /api/v1/nodes/{id}/revoke", 200, kMemberChanges, own_node, sibling_node, foreign_node},

    {"GET /api/v1/webhooks/{id}", 200, kLooks, webhook_id, webhook_id, foreign_webhook},
    {"PATCH /api/v1/webhooks/{id}", 200, kChanges, webhook_id, webhook_id, foreign_webhook, enabling},
    {"POST /api/v1/webhooks/{id}/rotate-secret", 200, kChanges, webhook_id, webhook_id, foreign_webhook},
    {"DELETE /api/v1/webhooks/{id}", 204, kChanges, webhook_id, webhook_id, foreign_webhook},
    {"GET /api/v1/jobs/{id}", 200, kOperatorLooks, job_id, job_id, job_id},
    {"POST /api/v1/jobs/{id}/run", 202, kOperatorChanges, job_id, job_id, job_id},
    {"GET /api/v1/tenants/{id}/usage", 200, kLooks, tenant_id, tenant_id, other_tenant_id},
    {"POST /api/v1/tenants/{id}/suspend", 200, kOperatorChanges, spare_tenant, spare_tenant, spare_tenant},
    {"POST /api/v1/tenants/{id}/resume", 200, kOperatorChanges, suspended_tenant, suspended_tenant, suspended_tenant},
    {"POST /api/v1/nodes/{id}/approve", 200, kChanges, own_node, sibling_node, foreign_node},
    {"GET /api/v1/nodes/{id}/peers", 200, kMemberLooks, own_node, sibling_node, foreign_node},
    {"GET /api/v1/nodes/{id}/wireguard-config", 200, kLooks, own_external, own_external, foreign_external},
    {"GET /api/v1/tags/{id}", 200, kLooks, own_object<ObjectKind::Tag>, own_object<ObjectKind::Tag>, foreign_object<ObjectKind::Tag>},
    {"PUT /api/v1/tags/{id}", 200, kChanges, own_object<ObjectKind::Tag>, own_object<ObjectKind::Tag>, foreign_object<ObjectKind::Tag>, new_name},
    {"DELETE /api/v1/tags/{id}", 204, kChanges, own_object<ObjectKind::Tag>, own_object<ObjectKind::Tag>, foreign_object<ObjectKind::Tag>},
    {"GET /api/v1/groups/{id}", 200, kLooks, own_object<ObjectKind::Group>, own_object<ObjectKind::Group>, foreign_object<ObjectKind::Group>},
    {"PUT /api/v1/groups/{id}", 200, kChanges, own_object<ObjectKind::Group>, own_object<ObjectKind::Group>, foreign_object<ObjectKind::Group>, new_name},
    {"DELETE /api/v1/groups/{id}", 204, kChanges, own_object<ObjectKind::Group>, own_object<ObjectKind::Group>, foreign_object<ObjectKind::Group>},
    {"GET /api/v1/regions/{id}", 200, kLooks, own_object<ObjectKind::Region>, own_object<ObjectKind::Region>, foreign_object<ObjectKind::Region>},
    {"PUT /api/v1/regions/{id}", 200, kChanges, own_object<ObjectKind::Region>, own_object<ObjectKind::Region>, foreign_object<ObjectKind::Region>, new_name},
    {"DELETE /api/v1/regions/{id}", 204, kChanges, own_object<ObjectKind::Region>, own_object<ObjectKind::Region>, foreign_object<ObjectKind::Region>},
    {"GET /api/v1/relays/{id}", 200, kLooks, own_object<ObjectKind::Relay>, own_object<ObjectKind::Relay>, foreign_object<ObjectKind::Relay>},
    {"PUT /api/v1/relays/{id}", 200, kChanges, own_object<ObjectKind::Relay>, own_object<ObjectKind::Relay>, foreign_object<ObjectKind::Relay>, new_name},
    {"DELETE /api/v1/relays/{id}", 204, kChanges, own_object<ObjectKind::Relay>, own_object<ObjectKind::Relay>, foreign_object<ObjectKind::Relay>},
    {"GET /api/v1/vrouters/{id}", 200, kLooks, own_object<ObjectKind::Vrouter>, own_object<ObjectKind::Vrouter>, foreign_object<ObjectKind::Vrouter>},
    {"PUT /api/v1/vrouters/{id}", 200, kChanges, own_object<ObjectKind::Vrouter>, own_object<ObjectKind::Vrouter>, foreign_object<ObjectKind::Vrouter>, new_name},
    {"GET /api/v1/ipsec-connections/{id}", 200, kLooks, own_connection, own_connection, foreign_connection},
    {"PATCH /api/v1/ipsec-connections/{id}", 200, kChanges, own_connection, own_connection, foreign_connection, enabling},
    {"DELETE /api/v1/ipsec-connections/{id}", 204, kChanges, own_connection, own_connection, foreign_connection},
    {"DELETE /api/v1/vrouters/{id}", 204, kChanges, own_object<ObjectKind::Vrouter>, own_object<ObjectKind::Vrouter>, foreign_object<ObjectKind::Vrouter>},
    {"GET /api/v1/policies/{id}", 200, kLooks, own_policy, own_policy, foreign_policy},
    {"PUT /api/v1/policies/{id}", 200, kChanges, own_policy, own_policy, foreign_policy, new_source},
    {"DELETE /api/v1/policies/{id}", 204, kChanges, own_policy, own_policy, foreign_policy},
    {"GET /api/v1/policies/{id}/revisions", 200, kLooks, own_policy, own_policy, foreign_policy},
    {"POST /api/v1/policies/{id}/activate", 200, kChanges, own_policy, own_policy, foreign_policy, first_number},

    {"GET /api/v1/users/{id}", 200, kLooks, own_user, owner_user, foreign_user},
    {"PATCH /api/v1/users/{id}", 200, kAccountChanges, own_user, owner_user, foreign_user, disabling},
    {"DELETE /api/v1/users/{id}", 204, kAccountChanges, own_user, owner_user, foreign_user},
    {"POST /api/v1/users/{id}/link", 201, kAccountChanges, own_user, owner_user, foreign_user},
    {"GET /api/v1/service-accounts/{id}", 200, kLooks, own_service, owner_service, foreign_service},
    {"PATCH /api/v1/service-accounts/{id}", 200, kAccountChanges, own_service, owner_service, foreign_service, disabling},
    {"DELETE /api/v1/service-accounts/{id}", 204, kAccountChanges, own_service, owner_service, foreign_service},
    {"GET /api/v1/access-tokens/{id}", 200, kMemberLooks, own_access_token, sibling_access_token, foreign_access_token},
    {"DELETE /api/v1/access-tokens/{id}", 204, kAccessTokenChanges, own_access_token, sibling_access_token, foreign_access_token},
};
// clang-format on

}  // namespace

std::span<const FlatRow> flat_rows() { return kFlatRows; }
std::span<const IdRow> id_rows() { return kIdRows; }

}  // namespace cvlan::api
