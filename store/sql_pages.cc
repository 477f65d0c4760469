// SPDX-License-Identifier: Apache-2.0
#include "store/sql_pages.h"

namespace cvlan::store {

Result<void> check_page(const Filter& filter) {
    if (filter.page_size < 1 || filter.page_size > 1000)
        return fail(Code::Invalid, "page size: must be from 1 to 1000");
    if (!filter.page_token.empty() && !is_uuid(filter.page_token))
        return fail(Code::Invalid, "page token: not one of ours");
    return {};
}

ListQuery::ListQuery(std::string select, const char* id_column, const Filter& filter)
    : text_(std::move(select)), id_column_(id_column), limit_(filter.page_size + 1) {
    text_ += fmt::format(" WHERE {} > ?", id_column_);
    values_.push_back(filter.page_token);
}

ListQuery& ListQuery::where(const char* condition, const std::optional<std::string>& value) {
    if (!value) return *this;
    text_ += fmt::format(" AND {}", condition);
    values_.push_back(*value);
    return *this;
}

Statement ListQuery::run(Database& db) {
    Statement statement = db.sql(text_ + fmt::format(" ORDER BY {} LIMIT ?", id_column_));
    for (const std::string& value : values_) statement.bind(value);
    statement.bind(limit_);
    return statement;
}

}  // namespace cvlan::store
