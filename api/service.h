// SPDX-License-Identifier: Apache-2.0
#pragma once

// Discovery, health, version, metrics and what is in quarantine.

#include "api/context.h"

namespace cvlan::api {

http::Response discover(Context& context, const Call& call);
http::Response health(Context& context, const Call& call);
http::Response ready(Context& context, const Call& call);
http::Response version(Context& context, const Call& call);
http::Response list_quarantine(Context& context, const Call& call, const AdminIdentity& who);
// Prometheus text format 0.0.4.
http::Response metrics(Context& context, const SessionFigures& session);

}  // namespace cvlan::api
