// SPDX-License-Identifier: Apache-2.0
#pragma once

// An https URL that somebody else wrote, taken apart strictly: no user, no fragment, no other
// scheme.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cvlan::http {

struct HttpsUrl {
    std::string host;  // a name or an address, without brackets
    uint16_t port = 443;
    std::string target;  // path and query, at least "/"

    static Result<HttpsUrl> parse(std::string_view text);
};

}  // namespace cvlan::http
