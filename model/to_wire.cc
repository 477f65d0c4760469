// SPDX-License-Identifier: Apache-2.0
#include "model/to_wire.h"

namespace cvlan::model {

wire::Quotas to_wire(const Quotas& quotas) {
    return {quotas.networks, quotas.nodes, quotas.users, quotas.tokens};
}

wire::Tenant to_wire(const Tenant& tenant) {
    wire::Tenant shown;
    shown.id = tenant.id;
    shown.name = tenant.name;
    shown.created_at = tenant.created_at;
    shown.revision = tenant.revision;
    shown.description = tenant.description;
    shown.suspended = tenant.suspended;
    shown.quotas = to_wire(tenant.quotas);
    return shown;
}

wire::Settings to_wire(const Settings& settings) {
    wire::Settings shown;
    shown.tenant_id = settings.tenant_id;
    shown.device_approval = settings.device_approval;
    if (settings.node_key_life) shown.node_key_life = duration_text(*settings.node_key_life);
    const bool drops = settings.map_expiry == MapExpiry::Drop;
    shown.map_expiry = drops ? wire::MapExpiry::Drop : wire::MapExpiry::Keep;
    shown.audit_retention_days = settings.audit_retention_days;
    shown.revision = settings.revision;
    return shown;
}

wire::DataPlane to_wire(DataPlane plane) {
    switch (plane) {
        case DataPlane::Ipsec:
            return wire::DataPlane::Ipsec;
        case DataPlane::Auto:
            return wire::DataPlane::Auto;
        case DataPlane::Wireguard:
            break;
    }
    return wire::DataPlane::Wireguard;
}

DataPlane from_wire(wire::DataPlane plane) {
    switch (plane) {
        case wire::DataPlane::Ipsec:
            return DataPlane::Ipsec;
        case wire::DataPlane::Auto:
            return DataPlane::Auto;
        case wire::DataPlane::Wireguard:
            break;
    }
    return DataPlane::Wireguard;
}

wire::CryptoProfile to_wire(CryptoProfile profile) {
    return profile == CryptoProfile::FipsAlgorithms ? wire::CryptoProfile::FipsAlgorithms
                                                    : wire::CryptoProfile::Default;
}

CryptoProfile from_wire(wire::CryptoProfile profile) {
    return profile == wire::CryptoProfile::FipsAlgorithms ? CryptoProfile::FipsAlgorithms
                                                          : CryptoProfile::Default;
}

wire::Topology to_wire(Topology topology) {
    return topology == Topology::Hub ? wire::Topology::Hub : wire::Topology::Mesh;
}

Topology from_wire(wire::Topology topology) {
    return topology == wire::Topology::Hub ? Topology::Hub : Topology::Mesh;
}

wire::Network to_wire(const Network& network) {
    wire::Network shown;
    shown.id = network.id;
    shown.tenant_id = network.tenant_id;
    shown.name = network.name;
    if (network.ipv4) shown.ipv4 = network.ipv4->text();
    if (network.ipv6) shown.ipv6 = network.ipv6->text();
    shown.mtu = network.mtu;
    shown.data_plane = to_wire(network.data_plane);
    shown.ipsec_tags = network.ipsec_tags;
    shown.crypto_profile = to_wire(network.crypto_profile);
    shown.topology = to_wire(network.topology);
    shown.node_count = network.node_count;
    shown.created_at = network.created_at;
    shown.revision = network.revision;
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
        case NodeState::Pending:
            return wire::NodeState::Pending;
    }
    return wire::NodeState::Revoked;
}

std::optional<std::string> span_text(const std::optional<std::chrono::milliseconds>& span) {
    if (!span) return std::nullopt;
    return duration_text(std::chrono::floor<std::chrono::seconds>(*span));
}

std::vector<std::string> links_of(const Object& object, Relation relation) {
    const auto found = object.links.find(relation);
    return found == object.links.end() ? std::vector<std::string>{} : found->second;
}

std::optional<std::string> link_of(const Object& object, Relation relation) {
    auto links = links_of(object, relation);
    return links.empty() ? std::nullopt : std::optional(std::move(links.front()));
}

// What all of them have.
template <class T>
T common(const Object& object) {
    T shown;
    shown.id = object.id;
    shown.tenant_id = object.tenant_id;
    shown.name = object.name;
    shown.description = object.description;
    shown.revision = object.revision;
    shown.created_at = object.created_at;
    return shown;
}
}  // namespace

template <>
wire::Tag to_wire<wire::Tag>(const Object& object) {
    auto shown = common<wire::Tag>(object);
    shown.owner_user_ids = links_of(object, Relation::OwnerUser);
    shown.owner_group_ids = links_of(object, Relation::OwnerGroup);
    return shown;
}

template <>
wire::Group to_wire<wire::Group>(const Object& object) {
    auto shown = common<wire::Group>(object);
    shown.user_ids = links_of(object, Relation::MemberUser);
    shown.node_ids = links_of(object, Relation::MemberNode);
    return shown;
}

template <>
wire::Region to_wire<wire::Region>(const Object& object) {
    return common<wire::Region>(object);
}

template <>
wire::Relay to_wire<wire::Relay>(const Object& object) {
    auto shown = common<wire::Relay>(object);
    shown.region_id = link_of(object, Relation::Region);
    shown.node_id = link_of(object, Relation::Node);
    shown.endpoints = object.endpoints;
    shown.stun_port = object.stun_port;
    shown.last_seen_at = object.last_seen_at;
    return shown;
}

template <>
wire::Vrouter to_wire<wire::Vrouter>(const Object& object) {
    auto shown = common<wire::Vrouter>(object);
    shown.region_id = link_of(object, Relation::Region);
    shown.node_id = link_of(object, Relation::Node);
    shown.network_ids = links_of(object, Relation::Network);
    shown.routes = object.routes;
    shown.last_seen_at = object.last_seen_at;
    return shown;
}

wire::Policy to_wire(const Policy& policy) {
    wire::Policy shown;
    shown.id = policy.id;
    shown.tenant_id = policy.tenant_id;
    shown.name = policy.name;
    shown.description = policy.description;
    shown.source = policy.source;
    shown.number = policy.number;
    shown.active_number = policy.active_number;
    shown.revision = policy.revision;
    shown.created_at = policy.created_at;
    return shown;
}

wire::IpsecConnection to_wire(const Connection& connection) {
    wire::IpsecConnection shown;
    shown.id = connection.id;
    shown.tenant_id = connection.tenant_id;
    shown.name = connection.name;
    shown.network_id = connection.network_id;
    shown.remote_addresses = texts_of(connection.remote_addresses);
    shown.remote_identity = connection.remote_identity;
    shown.local_identity = connection.local_identity;
    shown.auth = connection.auth;
    if (!connection.remote_ca.empty()) shown.remote_ca = connection.remote_ca;
    shown.local_subnets = texts_of(connection.local_subnets);
    shown.remote_subnets = texts_of(connection.remote_subnets);
    shown.ike_proposals = connection.ike_proposals;
    shown.esp_proposals = connection.esp_proposals;
    shown.start = connection.start;
    shown.dpd_seconds = connection.dpd.count();
    shown.rekey_seconds = connection.rekey.count();
    shown.enabled = connection.enabled;
    shown.secret_revision = connection.secret_revision;
    shown.revision = connection.revision;
    shown.created_at = connection.created_at;
    return shown;
}

wire::PolicyRevision to_wire(const PolicyRevision& revision) {
    return {revision.number, revision.source, revision.created_at, revision.created_by,
            revision.active};
}

wire::Token to_wire(const Token& token) {
    wire::Token shown;
    shown.id = token.id;
    shown.tenant_id = token.tenant_id;
    if (!token.network_id.empty()) shown.network_id = token.network_id;
    shown.role = to_wire(token.role);
    shown.uses_total = token.uses_total;
    shown.uses_left = token.uses_left;
    shown.created_at = token.created_at;
    shown.expires_at = token.expires_at;
    shown.revoked = token.revoked;
    shown.revision = token.revision;
    shown.tags = token.tags;
    shown.ephemeral_after = span_text(token.ephemeral_after);
    shown.owner = owner_to_wire(token.owner);
    if (!token.token_key_id.empty()) shown.token_key_id = token.token_key_id;
    return shown;
}

wire::TokenKey to_wire(const TokenKey& key) {
    return {key.id, key.tenant_id, key.name, key.kid, key.public_key, key.created_at};
}

wire::TokenState to_wire(TokenState state) {
    switch (state) {
        case TokenState::Usable:
            return wire::TokenState::Usable;
        case TokenState::Spent:
            return wire::TokenState::Spent;
        case TokenState::Expired:
            return wire::TokenState::Expired;
        case TokenState::Revoked:
            return wire::TokenState::Revoked;
    }
    return wire::TokenState::Revoked;
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
    if (!membership.relay_id.empty()) shown.relay_id = membership.relay_id;
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
    if (!node.external) shown.certificate_expires_at = node.certificate_expires_at;
    shown.created_at = node.created_at;
    shown.last_seen_at = node.last_seen_at;
    shown.revision = node.revision;
    shown.tags = node.tags;
    shown.owner = owner_to_wire(node.owner);
    if (node.external) shown.external = true;
    shown.ephemeral_after = span_text(node.ephemeral_after);
    shown.key_expires_at = node.key_expires_at;
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
