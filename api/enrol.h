// SPDX-License-Identifier: Apache-2.0
#pragma once

// How a node comes in: by a registration token alone (enrol), or into a further network (join).

#include "api/context.h"

namespace cvlan::api {

http::Response enrol_node(Context& context, const Call& call);
http::Response join_network(Context& context, const Call& call, const NodeIdentity& who);

}  // namespace cvlan::api
