// SPDX-License-Identifier: Apache-2.0
#pragma once

// What several handlers need to read a request; model/to_wire.h is the way back.

#include "api/context.h"
#include "model/to_wire.h"

namespace cvlan::api {

model::Inventory from_wire(const model::wire::Inventory& inventory);
std::vector<model::wire::MapKey> map_keys(const pki::TenantKeys& keys);

// What a list route may be asked for: the fields of its noun, orderBy, pageSize and pageToken; in
// the tenant that scope_of says.
Result<store::Filter> read_filter(const Query& query, const AdminIdentity& who);
Result<store::Filter> read_node_filter(const Query& query, const AdminIdentity& who);   // its state
Result<store::Filter> read_token_filter(const Query& query, const AdminIdentity& who);  // and role
Result<store::Filter> read_account_filter(const Query& query, const AdminIdentity& who);  // role
// The tenant in which something is made: the caller's own; the operator names it in the body.
Result<std::string> read_tenant(const AdminIdentity& who,
                                const std::optional<std::string>& in_body);
// An object stays in its tenant.
Result<void> check_same_tenant(const std::optional<std::string>& in_body,
                               const std::string& tenant_id);
// As scope_of, where the answer is one tenant's.
Result<std::string> named_tenant(const AdminIdentity& who, const Query& query);
// The error names the field.
Result<std::chrono::seconds> read_duration(const std::string& text, const char* field,
                                           std::chrono::seconds lowest,
                                           std::chrono::seconds highest);
model::Quotas from_wire(const model::wire::Quotas& quotas);

// Candidates as a node reported them plus the address that its request came from. Refuses what can
// not be an endpoint of a node: port 0, loopback, link-local, multicast.
Result<std::vector<Endpoint>> read_endpoints(const std::vector<std::string>& texts);
void add_observed(std::vector<Endpoint>& endpoints, const Endpoint& seen, uint16_t listen_port);

// A WireGuard public key that is worth having: 32 bytes, canonical base64, not of low order.
Result<void> check_wireguard_key(const std::string& text);

}  // namespace cvlan::api
