// SPDX-License-Identifier: Apache-2.0
#pragma once

// /api/v1/tenants: for the operator above tenants.

#include "api/context.h"

namespace cvlan::api {

http::Response list_tenants(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_tenant(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_tenant(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_tenant(Context& context, const Call& call, const AdminIdentity& who);
http::Response suspend_tenant(Context& context, const Call& call, const AdminIdentity& who);
http::Response resume_tenant(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_tenant_usage(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_tenant(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
