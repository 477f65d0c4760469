// SPDX-License-Identifier: Apache-2.0
#pragma once

// The form of an account's row, which several files of the store read. Only store includes it.

#include "model/accounts.h"
#include "store/sqlite.h"

namespace cvlan::store {

inline constexpr const char* kAccountColumns =
    "a.tenant_id, a.id, a.kind, a.name, a.role, a.disabled, a.password_hash, a.created_at, "
    "a.last_login_at, a.revision";
inline constexpr int kAccountColumnCount = 10;
// Whether the account's tenant is suspended; what stands above tenants has none.
inline constexpr const char* kIsSuspended =
    "coalesce((SELECT t.suspended FROM tenants t WHERE t.id = a.tenant_id), 0)";
model::Account account_row(const Statement& row);  // of a row that begins with these

// There is an operator: nobody becomes the first one any more.
Result<void> end_bootstrap(Database& db);

}  // namespace cvlan::store
