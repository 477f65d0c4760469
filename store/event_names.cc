// SPDX-License-Identifier: Apache-2.0
#include "store/event_names.h"

#include <iterator>

namespace cvlan::store {

namespace {

// In the order of EventKind.
constexpr EventName kNames[] = {
    {"TENANT_CREATED", "tenant"},
    {"TENANT_RENAMED", "tenant"},
    {"TENANT_DELETED", "tenant"},
    {"NETWORK_CREATED", "network"},
    {"NETWORK_DELETED", "network"},
    {"TOKEN_CREATED", "token"},
    {"TOKEN_REVOKED", "token"},
    {"TOKEN_DELETED", "token"},
    {"NODE_ENROLLED", "node"},
    {"NODE_JOINED", "node"},
    {"NODE_RENAMED", "node"},
    {"NODE_EXPIRED", "node"},
    {"NODE_REVOKED", "node"},
    {"NODE_DELETED", "node"},
    {"CERTIFICATE_RENEWED", "node"},
    {"ENDPOINTS_CHANGED", "node"},
    {"NETWORK_RENAMED", "network"},
    {"ACCOUNT_CREATED", "account"},
    {"ACCOUNT_CHANGED", "account"},
    {"ACCOUNT_DELETED", "account"},
    {"ACCOUNT_INVITED", "account"},
    {"PASSWORD_SET", "account"},
    {"SESSION_STARTED", "account"},
    {"SESSION_ENDED", "account"},
    {"ACCESS_TOKEN_CREATED", "access-token"},
    {"ACCESS_TOKEN_DELETED", "access-token"},
    {"TOKEN_KEY_CREATED", "token-key"},
    {"TOKEN_KEY_DELETED", "token-key"},
    {"TENANT_CHANGED", "tenant"},
    {"TENANT_SUSPENDED", "tenant"},
    {"TENANT_RESUMED", "tenant"},
    {"NODE_CHANGED", "node"},
    {"NODE_APPROVED", "node"},
    {"OBJECT_CREATED", "object"},
    {"OBJECT_CHANGED", "object"},
    {"OBJECT_DELETED", "object"},
    {"POLICY_CREATED", "policy"},
    {"POLICY_CHANGED", "policy"},
    {"POLICY_DELETED", "policy"},
    {"SETTINGS_CHANGED", "settings"},
    {"NETWORK_CHANGED", "network"},
};
static_assert(std::size(kNames) == static_cast<size_t>(EventKind::NetworkChanged) + 1);

}  // namespace

EventName name_of(EventKind kind) {
    const auto number = static_cast<size_t>(kind);
    if (number < std::size(kNames)) return kNames[number];
    return {"UNKNOWN", ""};  // a row that a newer program wrote
}

std::optional<EventKind> event_kind_of(std::string_view name) {
    for (size_t number = 0; number < std::size(kNames); ++number)
        if (kNames[number].name == name) return static_cast<EventKind>(number);
    return std::nullopt;
}

}  // namespace cvlan::store
