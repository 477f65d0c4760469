// SPDX-License-Identifier: Apache-2.0
#pragma once

// The heads that we send. A header that could end its own line is Code::Invalid: it never leaves
// the process.

#include <string>
#include <string_view>

#include "base/result.h"
#include "http/client.h"
#include "http/message.h"

namespace cvlan::http {

struct ResponseFraming {
    std::string_view request_id;
    bool close = false;
};
Result<std::string> encode_head(const Response& response, const ResponseFraming& framing);

Result<std::string> encode_head(const ClientRequest& request, std::string_view host);

size_t body_bytes(const Response& response);
// RFC 9110 section 6.4.1: 1xx, 204 and 304 have no body, whatever the response holds.
bool has_no_body(int status);

}  // namespace cvlan::http
