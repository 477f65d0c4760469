// SPDX-License-Identifier: Apache-2.0
#pragma once

// Pages of a listing, by cursor: the token of the next page is the id of the last row of this one,
// and ids rise with time. Only store includes it.

#include "store/sqlite.h"
#include "store/types.h"

namespace cvlan::store {

Result<void> check_page(const Filter& filter);

// Reads up to page_size rows of a statement that was made to return one more.
template <class T, class ReadRow>
Result<Page<T>> read_page(Statement& rows, const Filter& filter, ReadRow read_row) {
    Page<T> page;
    while (rows.next()) {
        if (page.items.size() == static_cast<size_t>(filter.page_size)) {
            page.next_page_token = page.items.back().id;
            break;
        }
        page.items.push_back(read_row(rows));
    }
    if (rows.error()) return failed(*rows.error());
    return page;
}

// "<select> WHERE <id> > ? [AND <tenant> = ?] …": conditions of the filter, with their parameters.
class ListQuery {
public:
    ListQuery(std::string select, const char* id_column, const Filter& filter);
    // `condition` has one parameter; an absent value leaves it out.
    ListQuery& where(const char* condition, const std::optional<std::string>& value);
    Statement run(Database& db);

private:
    std::string text_;
    std::string id_column_;
    std::vector<std::string> values_;
    int limit_;
};

}  // namespace cvlan::store
