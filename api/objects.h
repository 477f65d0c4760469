// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/tags, groups, regions, relays and vrouters: the nouns that are alike.

#include "api/context.h"

namespace cvlan::api {

struct ObjectNoun {
    std::string_view all;  // "/api/v1/tags"
    std::string_view one;  // "/api/v1/tags/{id}"
    AdminHandler list, create, get, update, remove;
};
std::span<const ObjectNoun> object_nouns();

}  // namespace cvlan::api
