// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who administers a tenant: users with an e-mail address and a password, service accounts for
// programs, and what they prove themselves by.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace cvlan::model {

// Each may do what those before it may, but that an AUDITOR changes nothing. Rows hold the numbers.
enum class TenantRole { Member, Auditor, Admin, Owner };

}  // namespace cvlan::model
