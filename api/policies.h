// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/policies: documents with their history. /api/v1/settings: what holds for a whole tenant.

#include "api/context.h"

namespace cvlan::api {

http::Response list_policies(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_policy(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_policy(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_policy(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_policy(Context& context, const Call& call, const AdminIdentity& who);
http::Response list_policy_revisions(Context& context, const Call& call, const AdminIdentity& who);
http::Response activate_policy(Context& context, const Call& call, const AdminIdentity& who);

http::Response get_settings(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_settings(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
