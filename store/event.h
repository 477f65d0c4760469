// SPDX-License-Identifier: Apache-2.0
#pragma once

// A committed change, as it is told to listeners and kept in the events' table.

#include <string>
#include <vector>

#include "base/clock.h"
#include "store/key.h"

namespace cvlan::store {

// Rows hold the numbers: a new one goes last.
enum class EventKind {
    TenantCreated,
    TenantRenamed,
    TenantDeleted,
    NetworkCreated,
    NetworkDeleted,
    TokenCreated,
    TokenRevoked,
    TokenDeleted,
    NodeEnrolled,  // new, or come back
    NodeJoined,    // a further network
    NodeRenamed,
    NodeExpired,
    NodeRevoked,
    NodeDeleted,
    CertificateRenewed,
    EndpointsChanged,
    NetworkRenamed,
    AccountCreated,
    AccountChanged,  // its role, or whether it is disabled
    AccountDeleted,
    AccountInvited,  // a link that sets its password was made
    PasswordSet,
    SessionStarted,  // of the account; this one and the next stand in the audit alone
    SessionEnded,
    AccessTokenCreated,
    AccessTokenDeleted,
    TokenKeyCreated,
    TokenKeyDeleted,
    TenantChanged,
    TenantSuspended,
    TenantResumed,
    NodeChanged,  // what only the controller knows of it
    NodeApproved,
    ObjectCreated,
    ObjectChanged,
    ObjectDeleted,
    PolicyCreated,
    PolicyChanged,
    PolicyDeleted,
    SettingsChanged,
    NetworkChanged,  // other than its name
};

struct Event {
    std::string tenant_id;
    Revision revision = 0;
    EventKind kind{};
    std::string object_id;                 // of the tenant, network, token or node
    std::vector<std::string> network_ids;  // whose members are touched
    WallTime at{};
};

}  // namespace cvlan::store
