// SPDX-License-Identifier: Apache-2.0
#include "api/query.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace cvlan::api {

namespace {

Error bad_parameter(std::string_view name, std::string_view why) {
    return {Code::Invalid,
            fmt::format("query parameter '{}': {}", printable(name.substr(0, 64)), why)};
}

Result<std::string> unescape(std::string_view text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            plain += ' ';
        } else if (text[i] != '%') {
            plain += text[i];
        } else {
            // A cut escape leaves fewer than two digits here, which make no whole byte.
            std::string digits(text.substr(i + 1, 2));
            for (char& c : digits) c = static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
            const auto byte = from_hex(digits);
            if (!byte || byte->size() != 1 || byte->front() == 0)
                return fail(Code::Invalid, "a bad %-escape");
            plain += static_cast<char>(byte->front());
            i += 2;
        }
    }
    if (!is_utf8(plain)) return fail(Code::Invalid, "not UTF-8");
    return plain;
}

}  // namespace

Result<Query> Query::parse(std::string_view raw, const std::vector<std::string_view>& known) {
    Query query;
    while (!raw.empty()) {
        const std::string_view pair = raw.substr(0, raw.find('&'));
        raw.remove_prefix(std::min(raw.size(), pair.size() + 1));
        const size_t equals = pair.find('=');
        const std::string_view name = pair.substr(0, equals);
        if (std::find(known.begin(), known.end(), name) == known.end())
            return failed(bad_parameter(name, "unknown"));
        if (query.text(name)) return failed(bad_parameter(name, "given twice"));
        auto value = unescape(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
        if (!value) return failed(bad_parameter(name, value.error().message));
        query.parameters_.emplace_back(name, *value);
    }
    return query;
}

std::optional<std::string> Query::text(std::string_view name) const {
    for (const auto& [key, value] : parameters_)
        if (key == name) return value;
    return std::nullopt;
}

Result<int64_t> Query::integer(std::string_view name, int64_t lowest, int64_t highest,
                               int64_t otherwise) const {
    const auto given = text(name);
    if (!given) return otherwise;
    int64_t value = 0;
    const char* end = given->data() + given->size();
    const auto [stop, error] = std::from_chars(given->data(), end, value);
    if (given->empty() || error != std::errc() || stop != end || value < lowest || value > highest)
        return failed(bad_parameter(
            name,
            fmt::format("out of range: must be a whole number from {} to {}", lowest, highest)));
    return value;
}

Result<std::optional<std::string>> Query::uuid(std::string_view name) const {
    auto given = text(name);
    if (given && !is_uuid(*given)) return failed(bad_parameter(name, "must be a UUID"));
    return given;
}

Result<std::optional<WallTime>> Query::time(std::string_view name) const {
    const auto given = text(name);
    if (!given) return std::optional<WallTime>{};
    const auto time = from_rfc3339(*given);
    if (!time) return failed(bad_parameter(name, time.error().message));
    return std::optional(*time);
}

}  // namespace cvlan::api
