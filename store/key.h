// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which object, and who changes it.

#include <cstdint>
#include <optional>
#include <string>

namespace cvlan::store {

using Revision = int64_t;                  // of a tenant: rises with each of its events
using Scope = std::optional<std::string>;  // a tenant's id; none is the operator's view of all

// Which way a change was refused: Error::reason, and the API's code.
inline constexpr const char* kTenantSuspended = "TENANT_SUSPENDED";
inline constexpr const char* kQuotaExceeded = "QUOTA_EXCEEDED";
inline constexpr const char* kRevisionMismatch = "REVISION_MISMATCH";

struct Key {
    std::string tenant_id;
    std::string id;
};

// Hashes of an Idempotency-Key, and of what was asked with it.
struct IdempotencyKey {
    std::string key_hash;
    std::string request_hash;
};

// Who changes something, and by which request: what the audit says of each change.
struct Cause {
    std::string actor = "system";  // "operator:<uid>", "user:<id>", "node:<id>", "anonymous", …
    std::string source{};          // the address it came from, or "unix"
    std::string request_id{};
    bool validate_only = false;                   // all is tried, answered and undone
    std::optional<Revision> expected{};           // that the object must have: If-Match
    std::optional<IdempotencyKey> idempotency{};  // spent by the first change
};

}  // namespace cvlan::store
