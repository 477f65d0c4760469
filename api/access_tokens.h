// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/access-tokens: a user's own, and those of service accounts. Not to be confused with the
// registration tokens of api/tokens.h, which admit nodes.

#include "api/context.h"

namespace cvlan::api {

http::Response list_access_tokens(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_access_token(Context& context, const Call& call, const AdminIdentity& who);
// The same with a client certificate in place of a token.
http::Response create_certificate(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_access_token(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_access_token(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
