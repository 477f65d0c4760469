// SPDX-License-Identifier: Apache-2.0
#pragma once

// What several handlers need to read a request; model/to_wire.h is the way back.

#include "api/context.h"
#include "model/to_wire.h"

namespace cvlan::api {

model::Inventory from_wire(const model::wire::Inventory& inventory);
std::vector<model::wire::MapKey> map_keys(const pki::TenantKeys& keys);

// tenant, network, name, pageSize and pageToken of a list route, within what `who` may see.
Result<store::Filter> read_filter(const Query& query, const AdminIdentity& who);

// Candidates as a node reported them plus the address that its request came from. Refuses what can
// not be an endpoint of a node: port 0, loopback, link-local, multicast, the network's own prefix.
Result<std::vector<Endpoint>> read_endpoints(const std::vector<std::string>& texts,
                                             const model::Network& network);
void add_observed(std::vector<Endpoint>& endpoints, const Endpoint& seen, uint16_t listen_port,
                  const model::Network& network);

// A WireGuard public key that is worth having: 32 bytes, canonical base64, not of low order.
Result<void> check_wireguard_key(const std::string& text);

}  // namespace cvlan::api
