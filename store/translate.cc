// SPDX-License-Identifier: Apache-2.0
#include "store/translate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace cvlan::store {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// As long as the word that begins at `at`, in capitals as our scripts write types.
std::string_view word_at(std::string_view text, size_t at) {
    size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    return text.substr(at, end - at);
}

std::string_view replaced(std::string_view word) {
    if (word == "INTEGER") return "BIGINT";
    if (word == "BLOB") return "BYTEA";
    if (word == "TEXT") return "TEXT COLLATE \"C\"";
    return word;
}

void erase_all(std::string& text, std::string_view part) {
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at))
        text.erase(at, part.size());
}

}  // namespace

std::string postgres_placeholders(std::string_view sql) {
    std::string text;
    int last = 0;
    bool is_quoted = false;
    for (size_t i = 0; i < sql.size(); ++i) {
        if (sql[i] == '\'') is_quoted = !is_quoted;
        if (sql[i] != '?' || is_quoted) {
            text += sql[i];
            continue;
        }
        int number = 0;
        while (i + 1 < sql.size() && is_digit(sql[i + 1])) number = number * 10 + (sql[++i] - '0');
        if (number == 0) number = last + 1;
        last = std::max(last, number);
        text += fmt::format("${}", number);
    }
    return text;
}

std::string postgres_schema(std::string_view script) {
    std::string text;
    for (size_t i = 0; i < script.size();) {
        const auto end = script.find('\n', i);
        // A comment may hold any word.
        if (script.substr(i).starts_with("--")) {
            if (end == std::string_view::npos) break;
            i = end;
            continue;
        }
        const std::string_view word = word_at(script, i);
        text += word.empty() ? script.substr(i, 1) : replaced(word);
        i += std::max<size_t>(word.size(), 1);
    }
    erase_all(text, " STRICT, WITHOUT ROWID");
    erase_all(text, " STRICT");
    return text;
}

}  // namespace cvlan::store
