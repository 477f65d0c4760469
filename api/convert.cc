// SPDX-License-Identifier: Apache-2.0
#include "api/convert.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace cvlan::api {

namespace wire = model::wire;

model::Inventory from_wire(const wire::Inventory& inventory) {
    return {inventory.hostname.value_or(""),      inventory.os.value_or(""),
            inventory.kernel.value_or(""),        inventory.architecture.value_or(""),
            inventory.agent_version.value_or(""), inventory.mac_addresses};
}

std::vector<wire::MapKey> map_keys(const pki::TenantKeys& keys) {
    return {{keys.map.kid(), keys.map.public_key().bytes()}};
}

model::Quotas from_wire(const wire::Quotas& quotas) {
    return {quotas.max_networks, quotas.max_nodes, quotas.max_users, quotas.max_tokens};
}

Result<std::string> named_tenant(const AdminIdentity& who, const Query& query) {
    auto scope = scope_of(who, query);
    if (!scope) return failed(scope.error());
    if (!*scope) return fail(Code::Invalid, "query parameter 'tenant': needed here");
    return **scope;
}

Result<std::string> read_tenant(const AdminIdentity& who,
                                const std::optional<std::string>& in_body) {
    if (!in_body && !who.is_operator()) return *who.scope;
    if (!in_body) return failed(Error{Code::Invalid, "tenantId: needed here", 0, "/tenantId", {}});
    if (auto own = check_tenant(who, *in_body); !own) return failed(own.error());
    return *in_body;
}

Result<void> check_same_tenant(const std::optional<std::string>& in_body,
                               const std::string& tenant_id) {
    if (!in_body || *in_body == tenant_id) return {};
    return failed(
        Error{Code::Invalid, "tenantId: an object stays in its tenant", 0, "/tenantId", {}});
}

Result<std::chrono::seconds> read_duration(const std::string& text, const char* field,
                                           std::chrono::seconds lowest,
                                           std::chrono::seconds highest) {
    auto span = parse_duration(text);
    if (span && (*span < lowest || *span > highest))
        span = fail(Code::Invalid, "must be from {} to {}", duration_text(lowest),
                    duration_text(highest));
    if (span) return span;
    Error error = span.error().while_doing(field);
    error.pointer = fmt::format("/{}", field);
    return failed(std::move(error));
}

namespace {

// One of `names`, which are in the order of T's values; absent is none.
template <class T, size_t N>
Result<std::optional<T>> read_enum(const Query& query, const char* name,
                                   const char* const (&names)[N]) {
    const auto given = query.text(name);
    if (!given) return std::optional<T>{};
    const auto* found = std::find(std::begin(names), std::end(names), *given);
    if (found == std::end(names))
        return fail(Code::Invalid, "query parameter '{}': must be one of {}", name,
                    fmt::join(names, ", "));
    return std::optional(static_cast<T>(found - std::begin(names)));
}

constexpr const char* kNodeStates[] = {"ACTIVE", "EXPIRED", "REVOKED", "PENDING"};
constexpr const char* kTokenStates[] = {"USABLE", "SPENT", "EXPIRED", "REVOKED"};
constexpr const char* kRoles[] = {"NODE", "VROUTER", "RELAY"};
constexpr const char* kTenantRoles[] = {"MEMBER", "AUDITOR", "ADMIN", "OWNER"};
constexpr const char* kBooleans[] = {"false", "true"};
constexpr const char* kOrders[] = {"createdAt", "createdAt desc", "name", "name desc"};

Result<void> read_order(const Query& query, store::Filter& filter) {
    auto order = read_enum<int>(query, "orderBy", kOrders);
    if (!order) return failed(order.error());
    const int number = order->value_or(0);
    filter.order_by = number < 2 ? store::OrderBy::CreatedAt : store::OrderBy::Name;
    filter.descending = number % 2 == 1;
    return {};
}

}  // namespace

Result<store::Filter> read_filter(const Query& query, const AdminIdentity& who) {
    store::Filter filter;
    auto scope = scope_of(who, query);
    if (!scope) return failed(scope.error());
    auto network = query.uuid("network");
    if (!network) return failed(network.error());
    auto size = query.integer("pageSize", 1, 1000, 100);
    if (!size) return failed(size.error());
    auto suspended = read_enum<bool>(query, "suspended", kBooleans);
    if (!suspended) return failed(suspended.error());
    auto disabled = read_enum<bool>(query, "disabled", kBooleans);
    if (!disabled) return failed(disabled.error());
    auto enabled = read_enum<bool>(query, "enabled", kBooleans);
    if (!enabled) return failed(enabled.error());
    if (auto order = read_order(query, filter); !order) return failed(order.error());
    filter.tenant = *scope;
    filter.owner = owner_filter(who);
    filter.network_id = *network;
    filter.name = query.text("name");
    filter.suspended = *suspended;
    filter.disabled = *disabled;
    filter.enabled = *enabled;
    filter.tag = query.text("tag");
    // Never wider than what the caller may see.
    if (!filter.owner) filter.owner = query.text("owner");
    filter.page_size = static_cast<int>(*size);
    filter.page_token = query.text("pageToken").value_or("");
    return filter;
}

Result<store::Filter> read_node_filter(const Query& query, const AdminIdentity& who) {
    auto filter = read_filter(query, who);
    if (!filter) return filter;
    auto state = read_enum<model::NodeState>(query, "state", kNodeStates);
    if (!state) return failed(state.error());
    filter->node_state = *state;
    return filter;
}

Result<store::Filter> read_token_filter(const Query& query, const AdminIdentity& who) {
    auto filter = read_filter(query, who);
    if (!filter) return filter;
    auto state = read_enum<model::TokenState>(query, "state", kTokenStates);
    if (!state) return failed(state.error());
    auto role = read_enum<model::TokenRole>(query, "role", kRoles);
    if (!role) return failed(role.error());
    if (filter->order_by == store::OrderBy::Name)
        return fail(Code::Invalid, "query parameter 'orderBy': tokens have no name");
    filter->token_state = *state;
    filter->role = *role;
    return filter;
}

Result<store::Filter> read_account_filter(const Query& query, const AdminIdentity& who) {
    auto filter = read_filter(query, who);
    if (!filter) return filter;
    auto role = read_enum<model::TenantRole>(query, "role", kTenantRoles);
    if (!role) return failed(role.error());
    filter->account_role = *role;
    return filter;
}

namespace {
bool can_be_endpoint(const Address& address) {
    return !address.is_unspecified() && !address.is_loopback() && !address.is_link_local() &&
           !address.is_multicast() && !address.is_v4_mapped();
}
}  // namespace

Result<std::vector<Endpoint>> read_endpoints(const std::vector<std::string>& texts) {
    std::vector<Endpoint> endpoints;
    for (size_t i = 0; i < texts.size(); ++i) {
        auto endpoint = Endpoint::parse(texts[i]);
        std::string why = endpoint ? "" : endpoint.error().message;
        if (endpoint && (endpoint->port == 0 || !can_be_endpoint(endpoint->address)))
            why = fmt::format("{} can be nobody's endpoint", endpoint->text());
        if (!why.empty()) {
            Error error{Code::Invalid, fmt::format("endpoints: {}", why)};
            error.pointer = fmt::format("/endpoints/{}", i);
            return failed(error);
        }
        if (std::find(endpoints.begin(), endpoints.end(), *endpoint) == endpoints.end())
            endpoints.push_back(*endpoint);
    }
    return endpoints;
}

void add_observed(std::vector<Endpoint>& endpoints, const Endpoint& seen, uint16_t listen_port) {
    if (listen_port == 0 || !can_be_endpoint(seen.address)) return;
    const Endpoint observed{seen.address, listen_port};
    if (std::find(endpoints.begin(), endpoints.end(), observed) == endpoints.end())
        endpoints.push_back(observed);
}

Result<void> check_wireguard_key(const std::string& text) {
    auto good = model::check_wireguard_key(text);
    if (good) return {};
    Error error{Code::Invalid, fmt::format("wireguardPublicKey {}", good.error().message)};
    error.pointer = "/wireguardPublicKey";
    return failed(error);
}

}  // namespace cvlan::api
