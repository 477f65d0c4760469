// SPDX-License-Identifier: Apache-2.0
#pragma once

// By which paths nodes reach each other: what relays ask a node for, what nodes report, and who
// looks at it.

#include "api/context.h"

namespace cvlan::api {

http::Response make_relay_grants(Context& context, const Call& call, const NodeIdentity& who);
http::Response report_health(Context& context, const Call& call, const NodeIdentity& who);
http::Response list_node_peers(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
