// SPDX-License-Identifier: Apache-2.0
#include "model/objects.h"

#include <algorithm>

#include "base/bytes.h"

namespace cvlan::model {

Result<void> check_name(std::string_view field, std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    };
    const bool good = !name.empty() && name.size() <= 63 && name.front() != '-' &&
                      name.back() != '-' && std::all_of(name.begin(), name.end(), allowed);
    if (good) return {};
    Error error{
        Code::Invalid,
        fmt::format("{} '{}' is no name: 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'",
                    field, printable(name.substr(0, 64)))};
    error.pointer = fmt::format("/{}", field);
    return failed(error);
}

}  // namespace cvlan::model
