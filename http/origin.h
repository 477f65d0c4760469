// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where a server is: "https://HOST[:PORT]", nothing after it.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cvlan::http {

struct Origin {
    std::string host;
    uint16_t port = 443;
    bool operator==(const Origin&) const = default;
};
Result<Origin> parse_origin(std::string_view url);

}  // namespace cvlan::http
