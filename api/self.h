// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an enrolled node tells and asks about itself, and nobody else.

#include "api/context.h"

namespace cvlan::api {

http::Response report_endpoints(Context& context, const Call& call, const NodeIdentity& who);
http::Response report_inventory(Context& context, const Call& call, const NodeIdentity& who);
http::Response renew_certificate(Context& context, const Call& call, const NodeIdentity& who);
http::Response leave(Context& context, const Call& call, const NodeIdentity& who);
// The blocking query for the map.
void node_map(Context& context, const Call& call, const Identity& who, http::Reply reply);

}  // namespace cvlan::api
