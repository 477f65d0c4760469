// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who administers: users, with an e-mail address and a password, and service accounts for programs.
// Both may have access tokens. Those of no tenant are operators, above tenants.

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace cvlan::model {

// Each may do what those before it may, but that an AUDITOR changes nothing. Rows hold the numbers.
enum class TenantRole { Member, Auditor, Admin, Owner };

enum class AccountKind { User, Service };  // rows hold the numbers

struct Account {
    std::string tenant_id;  // empty: above tenants
    std::string id;
    AccountKind kind = AccountKind::User;
    std::string name;  // a user's e-mail address, a service account's label
    TenantRole role = TenantRole::Member;
    bool disabled = false;
    bool has_password = false;
    WallTime created_at{};
    std::optional<WallTime> last_login_at{};
    int64_t revision = 0;  // of the last change by anybody; a login is none

    // As the audit and the owners of objects have it.
    std::string actor() const {
        return (kind == AccountKind::User ? "user:" : "service-account:") + id;
    }
};

struct AccessToken {
    std::string tenant_id;
    std::string id;
    std::string account_id;
    std::string name;
    std::string prefix;  // what it begins with, to tell it from others
    WallTime created_at{};
    WallTime expires_at{};
    std::optional<WallTime> last_used_at{};
    int64_t revision = 0;
};

// An address in lower case: ASCII, one '@', at most 254 bytes (RFC 5321, section 4.5.3.1.3).
Result<std::string> check_email(std::string_view text);

}  // namespace cvlan::model
