// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/token-keys: who may make registration tokens without asking the controller.

#include "api/context.h"

namespace cvlan::api {

http::Response list_token_keys(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_token_key(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_token_key(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_token_key(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
