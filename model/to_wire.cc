// SPDX-License-Identifier: Apache-2.0
#include "model/to_wire.h"

namespace cvlan::model {

wire::Tenant to_wire(const Tenant& tenant) {
    return {tenant.id, tenant.name, tenant.created_at, tenant.revision};
}

wire::Network to_wire(const Network& network) {
    wire::Network shown;
    shown.id = network.id;
    shown.tenant_id = network.tenant_id;
    shown.name = network.name;
    if (network.ipv4) shown.ipv4 = network.ipv4->text();
    if (network.ipv6) shown.ipv6 = network.ipv6->text();
    shown.mtu = network.mtu;
    shown.node_count = network.node_count;
    shown.created_at = network.created_at;
    return shown;
}

namespace {
wire::TokenRole to_wire(TokenRole role) {
    switch (role) {
        case TokenRole::Node:
            return wire::TokenRole::Node;
        case TokenRole::Vrouter:
            return wire::TokenRole::Vrouter;
        case TokenRole::Relay:
            return wire::TokenRole::Relay;
    }
    return wire::TokenRole::Node;
}

// Nobody's is not shown.
std::optional<std::string> owner_to_wire(const std::string& owner) {
    return owner.empty() ? std::nullopt : std::optional(owner);
}

wire::NodeState to_wire(NodeState state) {
    switch (state) {
        case NodeState::Active:
            return wire::NodeState::Active;
        case NodeState::Expired:
            return wire::NodeState::Expired;
        case NodeState::Revoked:
            return wire::NodeState::Revoked;
    }
    return wire::NodeState::Revoked;
}
}  // namespace

wire::Token to_wire(const Token& token) {
    wire::Token shown;
    shown.id = token.id;
    shown.tenant_id = token.tenant_id;
    shown.network_id = token.network_id;
    shown.role = to_wire(token.role);
    shown.uses_total = token.uses_total;
    shown.uses_left = token.uses_left;
    shown.created_at = token.created_at;
    shown.expires_at = token.expires_at;
    shown.revoked = token.revoked;
    shown.owner = owner_to_wire(token.owner);
    if (!token.token_key_id.empty()) shown.token_key_id = token.token_key_id;
    return shown;
}

wire::TokenKey to_wire(const TokenKey& key) {
    return {key.id, key.tenant_id, key.name, key.kid, key.public_key, key.created_at};
}

wire::NodeMembership to_wire(const Membership& membership) {
    wire::NodeMembership shown;
    shown.network_id = membership.network_id;
    shown.network_name = membership.network_name;
    if (membership.ipv4) shown.addresses.push_back(membership.ipv4->text());
    if (membership.ipv6) shown.addresses.push_back(membership.ipv6->text());
    shown.wireguard_public_key = membership.wireguard_key;
    shown.listen_port = membership.listen_port;
    for (const Endpoint& endpoint : membership.endpoints)
        shown.endpoints.push_back(endpoint.text());
    return shown;
}

wire::Node to_wire(const Node& node) {
    wire::Node shown;
    shown.id = node.id;
    shown.tenant_id = node.tenant_id;
    shown.name = node.name;
    shown.state = to_wire(node.state);
    shown.role = to_wire(node.role);
    for (const Membership& membership : node.memberships)
        shown.memberships.push_back(to_wire(membership));
    const Inventory& has = node.inventory;
    shown.inventory = wire::Inventory{
        has.hostname, has.os, has.kernel, has.architecture, has.agent_version, has.mac_addresses};
    shown.certificate_expires_at = node.certificate_expires_at;
    shown.created_at = node.created_at;
    shown.last_seen_at = node.last_seen_at;
    shown.owner = owner_to_wire(node.owner);
    return shown;
}

wire::TenantRole to_wire(TenantRole role) {
    switch (role) {
        case TenantRole::Member:
            return wire::TenantRole::Member;
        case TenantRole::Auditor:
            return wire::TenantRole::Auditor;
        case TenantRole::Admin:
            return wire::TenantRole::Admin;
        case TenantRole::Owner:
            return wire::TenantRole::Owner;
    }
    return wire::TenantRole::Member;
}

wire::Account to_wire(const Account& account) {
    wire::Account shown;
    shown.id = account.id;
    if (!account.tenant_id.empty()) shown.tenant_id = account.tenant_id;
    shown.kind =
        account.kind == AccountKind::User ? wire::AccountKind::User : wire::AccountKind::Service;
    shown.name = account.name;
    shown.role = to_wire(account.role);
    shown.disabled = account.disabled;
    if (account.kind == AccountKind::User) shown.has_password = account.has_password;
    shown.created_at = account.created_at;
    shown.last_login_at = account.last_login_at;
    return shown;
}

wire::AccessToken to_wire(const AccessToken& token) {
    wire::AccessToken shown;
    shown.id = token.id;
    if (!token.tenant_id.empty()) shown.tenant_id = token.tenant_id;
    shown.account_id = token.account_id;
    shown.name = token.name;
    shown.prefix = token.prefix;
    shown.created_at = token.created_at;
    shown.expires_at = token.expires_at;
    shown.last_used_at = token.last_used_at;
    return shown;
}

}  // namespace cvlan::model
