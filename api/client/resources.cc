// SPDX-License-Identifier: Apache-2.0
#include "api/client/resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace cvlan::client {

// How many letters must be put in, taken out or changed (Levenshtein).
static size_t distance(std::string_view from, std::string_view to) {
    std::vector<size_t> row(to.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < from.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < to.size(); ++j) {
            const size_t changed = diagonal + (from[i] == to[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

const Resource* find_resource(std::string_view word) {
    for (const Resource& resource : resources())
        if (resource.kind == word || resource.plural == word) return &resource;
    return nullptr;
}

const Field* find_field(std::span<const Field> fields, std::string_view name) {
    for (const Field& field : fields)
        if (field.name == name || (!field.alias.empty() && field.alias == name)) return &field;
    return nullptr;
}

std::string_view display_name(const Field& field) {
    return field.alias.empty() ? field.name : field.alias;
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& words) {
    std::string_view best;
    size_t nearest = std::max<size_t>(word.size() / 2, 2);
    for (const std::string_view candidate : words) {
        const size_t steps = distance(word, candidate);
        if (steps > nearest || (steps == nearest && !best.empty())) continue;
        nearest = steps;
        best = candidate;
    }
    return best.empty() ? "" : fmt::format("; did you mean '{}'?", best);
}

}  // namespace cvlan::client
