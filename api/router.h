// SPDX-License-Identifier: Apache-2.0
#pragma once

// From a request to its handler: find the route among those of the listener's roles (404 before any
// work), read the query, establish who asks, call. The only caller of handlers.

#include "api/context.h"

namespace cvlan::api {

void handle(Context& context, const Roles& roles, http::Request request, http::Reply reply);

}  // namespace cvlan::api
