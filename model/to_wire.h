// SPDX-License-Identifier: Apache-2.0
#pragma once

// The nouns in the wire's form: what the API answers, and what the audit keeps of before and after.
// No secret has a place in there.

#include "model/accounts.h"
#include "model/connection.h"
#include "model/objects.h"
#include "model/wire.h"

namespace cvlan::model {

wire::Tenant to_wire(const Tenant& tenant);
wire::DataPlane to_wire(DataPlane plane);
DataPlane from_wire(wire::DataPlane plane);
wire::CryptoProfile to_wire(CryptoProfile profile);
CryptoProfile from_wire(wire::CryptoProfile profile);
wire::Topology to_wire(Topology topology);
Topology from_wire(wire::Topology topology);
wire::Network to_wire(const Network& network);
wire::Token to_wire(const Token& token);
wire::TokenKey to_wire(const TokenKey& key);
wire::NodeMembership to_wire(const Membership& membership);
// Names of networks come from the store; a network that is gone has an empty one.
wire::Node to_wire(const Node& node);
wire::TenantRole to_wire(TenantRole role);
wire::Account to_wire(const Account& account);
wire::AccessToken to_wire(const AccessToken& token);
wire::Quotas to_wire(const Quotas& quotas);
wire::Settings to_wire(const Settings& settings);
wire::TokenState to_wire(TokenState state);
wire::IpsecConnection to_wire(const Connection& connection);
wire::Policy to_wire(const Policy& policy);
wire::PolicyRevision to_wire(const PolicyRevision& revision);
// For Tag, Group, Region, Relay and Vrouter: the object is of that kind.
template <class T>
T to_wire(const Object& object);
template <>
wire::Tag to_wire<wire::Tag>(const Object& object);
template <>
wire::Group to_wire<wire::Group>(const Object& object);
template <>
wire::Region to_wire<wire::Region>(const Object& object);
template <>
wire::Relay to_wire<wire::Relay>(const Object& object);
template <>
wire::Vrouter to_wire<wire::Vrouter>(const Object& object);

}  // namespace cvlan::model
