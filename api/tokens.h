// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/tokens: registration tokens. The token itself is shown once, when it is made.

#include "api/context.h"

namespace cvlan::api {

http::Response list_tokens(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_token(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_token(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_token(Context& context, const Call& call, const AdminIdentity& who);
http::Response revoke_token(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
