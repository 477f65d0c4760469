// SPDX-License-Identifier: Apache-2.0
#pragma once

// The roles of a controller: each a part of the routes, with listeners, limits and threads of its
// own, so that a flood on one can not starve another.

#include <optional>
#include <set>
#include <string_view>

namespace cvlan::api {

enum class Role { Discovery, Registration, Session, Api };
using Roles = std::set<Role>;

inline constexpr Role kAllRoles[] = {Role::Discovery, Role::Registration, Role::Session, Role::Api};

constexpr std::string_view name_of(Role role) {
    constexpr std::string_view kNames[] = {"discovery", "registration", "session", "api"};
    return kNames[static_cast<int>(role)];
}

constexpr std::optional<Role> role_named(std::string_view name) {
    for (const Role role : kAllRoles)
        if (name_of(role) == name) return role;
    return std::nullopt;
}

}  // namespace cvlan::api
