// SPDX-License-Identifier: Apache-2.0
#pragma once

// The nouns in the wire's form: what the API answers, and what the audit keeps of before and after.
// No secret has a place in there.

#include "model/accounts.h"
#include "model/objects.h"
#include "model/wire.h"

namespace cvlan::model {

wire::Tenant to_wire(const Tenant& tenant);
wire::Network to_wire(const Network& network);
wire::Token to_wire(const Token& token);
wire::TokenKey to_wire(const TokenKey& key);
wire::NodeMembership to_wire(const Membership& membership);
// Names of networks come from the store; a network that is gone has an empty one.
wire::Node to_wire(const Node& node);
wire::TenantRole to_wire(TenantRole role);
wire::Account to_wire(const Account& account);
wire::AccessToken to_wire(const AccessToken& token);

}  // namespace cvlan::model
