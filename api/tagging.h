// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who may put a tag on a node, or take it away: rules are written for tags. An administrator any;
// a user those that he owns, by himself or by a group.

#include "api/context.h"

namespace cvlan::api {

// Denied TAG_NOT_OWNED where one of the tags is not theirs to give, or is not there.
Result<void> check_may_tag(store::Store& store, const AdminIdentity& who,
                           const std::string& tenant_id, const std::vector<std::string>& tags);

// What is in one list alone.
std::vector<std::string> difference(std::vector<std::string> one, std::vector<std::string> other);

}  // namespace cvlan::api
