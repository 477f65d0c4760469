// SPDX-License-Identifier: Apache-2.0
#include "store/sql_pages.h"

#include <charconv>

namespace cvlan::store {

namespace {

constexpr size_t kUuid = 36;

}  // namespace

Result<void> check_page(const Filter& filter) {
    if (filter.page_size < 1 || filter.page_size > 1000)
        return fail(Code::Invalid, "page size: must be from 1 to 1000");
    const std::string_view token = filter.page_token;
    if (token.empty()) return {};
    const bool is_named = token.size() > kUuid && token[kUuid] == ':';
    if (!is_uuid(token.substr(0, kUuid)) || is_named != (filter.order_by == OrderBy::Name) ||
        (!is_named && token.size() != kUuid))
        return fail(Code::Invalid, "page token: not one of ours, or of another order");
    return {};
}

Result<int64_t> number_of(const std::string& page_token) {
    int64_t number = 0;
    if (page_token.empty()) return number;
    const char* end = page_token.data() + page_token.size();
    const auto [stop, error] = std::from_chars(page_token.data(), end, number);
    if (error != std::errc() || stop != end || number < 1)
        return fail(Code::Invalid, "page token: not one of ours");
    return number;
}

ListQuery::ListQuery(std::string select, const Filter& filter, const char* id_column,
                     const char* name_column)
    : text_(std::move(select)), limit_(filter.page_size + 1) {
    const bool by_name = name_column && filter.order_by == OrderBy::Name;
    const char* direction = filter.descending ? " DESC" : "";
    order_ = by_name ? fmt::format("{0}{2}, {1}{2}", name_column, id_column, direction)
                     : fmt::format("{}{}", id_column, direction);
    if (filter.page_token.empty()) return;
    const char* after = filter.descending ? "<" : ">";
    if (by_name) {
        add(fmt::format("({}, {}) {} (?, ?)", name_column, id_column, after));
        values_.emplace_back(filter.page_token.substr(kUuid + 1));
    } else {
        add(fmt::format("{} {} ?", id_column, after));
    }
    values_.emplace_back(filter.page_token.substr(0, kUuid));
}

void ListQuery::add(const std::string& condition) {
    text_ += fmt::format(" {} {}", conditions_++ == 0 ? "WHERE" : "AND", condition);
}

Statement ListQuery::run(Database& db) {
    Statement statement = db.sql(fmt::format("{} ORDER BY {} LIMIT ?", text_, order_));
    for (const Value& value : values_)
        std::visit([&](const auto& plain) { statement.bind(plain); }, value);
    statement.bind(limit_);
    return statement;
}

}  // namespace cvlan::store
