// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an agent says when it becomes a node of a network: the WireGuard key, its place, and what
// machine it is. The rest is enrolee/enrolment.h.

#include <optional>
#include <string>
#include <vector>

#include "daemons/agent/identity.h"
#include "enrolee/enrolment.h"
#include "model/token_claims.h"
#include "model/wire.h"

namespace cvlan::agent {

// What goes along with the token.
struct Introduction {
    std::string token;
    std::optional<std::string> name;
    std::vector<std::string> endpoints;
    model::wire::Inventory inventory;
};

// The identity for a token's tenant gets keys for its network, and what the token says of the
// controller unless it only joins a further network by the certificate it has.
Result<void> prepare(Identity& identity, const model::TokenClaims& claims, bool is_join);

Result<model::wire::EnrolRequest> enrol_request(const Identity& identity,
                                                const std::string& network_id,
                                                const Introduction& introduction);
Result<model::wire::JoinRequest> join_request(const Identity& identity,
                                              const std::string& network_id,
                                              const Introduction& introduction);

}  // namespace cvlan::agent
