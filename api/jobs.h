// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller's jobs, which are the operator's.

#include "api/context.h"

namespace cvlan::api {

http::Response list_jobs(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_job(Context& context, const Call& call, const AdminIdentity& who);
http::Response run_job(Context& context, const Call& call, const AdminIdentity& who);

}  // namespace cvlan::api
