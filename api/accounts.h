// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/users and /api/v1/service-accounts. What nobody may grant is refused by the store, in the
// transaction of the change.

#include "api/context.h"

namespace cvlan::api {

http::Response list_users(Context& context, const Call& call, const AdminIdentity& who);
// Invites: the answer has the one-time link with which the user sets the password.
http::Response create_user(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_user(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_user(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_user(Context& context, const Call& call, const AdminIdentity& who);
// A further link, for who has lost the first one or the password.
http::Response create_user_link(Context& context, const Call& call, const AdminIdentity& who);

http::Response list_service_accounts(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_service_account(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_service_account(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_service_account(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_service_account(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
