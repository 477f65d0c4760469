// SPDX-License-Identifier: Apache-2.0
#include "model/accounts.h"

#include <algorithm>

namespace cvlan::model {

Result<std::string> check_email(std::string_view text) {
    const size_t at = text.find('@');
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c < 0x7F &&
               std::string_view("\"'<>\\,;:()[]").find(c) == std::string_view::npos;
    });
    const bool is_good = is_plain && text.size() <= 254 && at != std::string_view::npos && at > 0 &&
                         at + 1 < text.size() && text.find('@', at + 1) == std::string_view::npos;
    if (!is_good) return failed(Error{Code::Invalid, "email: is no e-mail address", 0, "/email"});
    std::string email(text);
    for (char& c : email)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return email;
}

}  // namespace cvlan::model
