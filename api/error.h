// SPDX-License-Identifier: Apache-2.0
#pragma once

// An Error as the answer a client gets: RFC 9457, status and stable code from Error::code.

#include <string_view>

#include "base/error.h"
#include "http/message.h"

namespace cvlan::api {

// The code is the error's own reason where it has one. Errors that name a field carry it in
// `errors[{pointer, detail}]`. Code::Internal says no more than that to the client and is logged
// here, under the request's id.
http::Response error_response(const Error& error, std::string_view request_id);

// For verdicts which have a code of their own: "node_revoked", "token_spent".
http::Response refusal(int status, std::string_view code, std::string_view detail,
                       std::string_view request_id);

int status_of(Code code);

}  // namespace cvlan::api
