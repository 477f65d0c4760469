// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cvlan::model {

// Each may do what those before it may, but that an AUDITOR changes nothing. Rows hold the numbers.
enum class TenantRole { Member, Auditor, Admin, Owner };

}  // namespace cvlan::model
