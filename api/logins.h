// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/auth: how somebody becomes an identity, and looks at and ends it.

#include "api/context.h"
#include "model/wire.h"

namespace cvlan::api {

void login(Context& context, const Call& call, http::Reply reply);
// Sets a password with a one-time link.
void use_link(Context& context, const Call& call, http::Reply reply);
// One's own, with the present one.
void change_password(Context& context, const Call& call, const AdminIdentity& who,
                     http::Reply reply);
http::Response show_me(Context& context, const Call& call, const AdminIdentity& who);
// Ends the session, or the access token, that the caller came with.
http::Response logout(Context& context, const Call& call, const AdminIdentity& who);

struct MadeLink {
    store::Link link;  // for the store
    model::wire::OneTimeLink shown;
};
MadeLink make_link(const Context& context, std::chrono::hours life);

}  // namespace cvlan::api
