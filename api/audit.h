// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reading the audit: pages, exports, and whether its chains are whole. A tenant sees its own chain;
// the operator that of the tenant it names, and its own where it names none.

#include "api/context.h"

namespace cvlan::api {

http::Response list_audit(Context& context, const Call& call, const AdminIdentity& who);
// One page as NDJSON or CSV; the Link header leads to the next one.
http::Response export_audit(Context& context, const Call& call, const AdminIdentity& who);
http::Response verify_audit(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
