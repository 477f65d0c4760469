// SPDX-License-Identifier: Apache-2.0
#pragma once

// The query part of a target, decoded strictly: only the parameters that the route names, each
// once.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace cvlan::api {

class Query {
public:
    // A parameter outside `known`, one twice, a bad escape or a NUL is Code::Invalid.
    static Result<Query> parse(std::string_view raw, const std::vector<std::string_view>& known);

    std::optional<std::string> text(std::string_view name) const;
    Result<int64_t> integer(std::string_view name, int64_t lowest, int64_t highest,
                            int64_t otherwise) const;
    // Absent, or a UUID; anything else is Code::Invalid.
    Result<std::optional<std::string>> uuid(std::string_view name) const;
    // Absent, or RFC 3339 in UTC; anything else is Code::Invalid.
    Result<std::optional<WallTime>> time(std::string_view name) const;

private:
    std::vector<std::pair<std::string, std::string>> parameters_;
};

}  // namespace cvlan::api
