// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/networks: the CVLANs of a tenant.

#include "api/context.h"

namespace cvlan::api {

http::Response list_networks(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_network(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_network(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_network(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_network(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
