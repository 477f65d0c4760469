// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/nodes: the nodes of a tenant, as an administrator sees them.

#include "api/context.h"

namespace cvlan::api {

// The node of the path. NotFound where the caller may not look at it.
Result<model::Node> find_node(const Call& call, const AdminIdentity& who);

http::Response list_nodes(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_external_node(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_node(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_node(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_node(Context& context, const Call& call, const AdminIdentity& who);
http::Response approve_node(Context& context, const Call& call, const AdminIdentity& who);
http::Response wireguard_config(Context& context, const Call& call, const AdminIdentity& who);
http::Response expire_node(Context& context, const Call& call, const AdminIdentity& who);
http::Response revoke_node(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
