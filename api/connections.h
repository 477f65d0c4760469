// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/ipsec-connections: sites that a network's vrouter is joined with over IPsec. A secret
// comes in, is sealed with a key that the tenant's own key file gives and no database holds, and
// goes out to the one node that needs it.

#include "api/context.h"

namespace cvlan::api {

http::Response list_connections(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_connection(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_connection(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_connection(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_connection(Context& context, const Call& call, const AdminIdentity& who);

// GET /api/v1/node/ipsec-secrets.
http::Response node_ipsec_secrets(Context& context, const Call& call, const NodeIdentity& who);

}  // namespace cvlan::api
