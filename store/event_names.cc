// SPDX-License-Identifier: Apache-2.0
#include "store/event_names.h"

namespace cvlan::store {

EventName name_of(EventKind kind) {
    switch (kind) {
        case EventKind::TenantCreated:
            return {"TENANT_CREATED", "tenant"};
        case EventKind::TenantRenamed:
            return {"TENANT_RENAMED", "tenant"};
        case EventKind::TenantDeleted:
            return {"TENANT_DELETED", "tenant"};
        case EventKind::NetworkCreated:
            return {"NETWORK_CREATED", "network"};
        case EventKind::NetworkDeleted:
            return {"NETWORK_DELETED", "network"};
        case EventKind::TokenCreated:
            return {"TOKEN_CREATED", "token"};
        case EventKind::TokenRevoked:
            return {"TOKEN_REVOKED", "token"};
        case EventKind::TokenDeleted:
            return {"TOKEN_DELETED", "token"};
        case EventKind::NodeEnrolled:
            return {"NODE_ENROLLED", "node"};
        case EventKind::NodeJoined:
            return {"NODE_JOINED", "node"};
        case EventKind::NodeRenamed:
            return {"NODE_RENAMED", "node"};
        case EventKind::NodeExpired:
            return {"NODE_EXPIRED", "node"};
        case EventKind::NodeRevoked:
            return {"NODE_REVOKED", "node"};
        case EventKind::NodeDeleted:
            return {"NODE_DELETED", "node"};
        case EventKind::CertificateRenewed:
            return {"CERTIFICATE_RENEWED", "node"};
        case EventKind::EndpointsChanged:
            return {"ENDPOINTS_CHANGED", "node"};
        case EventKind::NetworkRenamed:
            return {"NETWORK_RENAMED", "network"};
    }
    // A row that a newer program wrote.
    return {"UNKNOWN", ""};
}

std::optional<EventKind> event_kind_of(std::string_view name) {
    // The numbers have no gap, and what comes after the last has no name.
    for (int number = 0;; ++number) {
        const auto kind = static_cast<EventKind>(number);
        const EventName known = name_of(kind);
        if (known.name == "UNKNOWN") return std::nullopt;
        if (known.name == name) return kind;
    }
}

}  // namespace cvlan::store
