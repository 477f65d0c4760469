// SPDX-License-Identifier: Apache-2.0
#pragma once

// Pages of a listing, by cursor: the token of the next page names the last row of this one, and the
// next page is what comes after it, whatever was deleted or added meanwhile. By time it is the id,
// since ids rise with time; by name it is "<id>:<name>". Only store includes it.

#include <variant>

#include "store/database.h"
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
            if constexpr (requires { page.items.back().name; })
                if (filter.order_by == OrderBy::Name)
                    page.next_page_token += ":" + page.items.back().name;
            break;
        }
        page.items.push_back(read_row(rows));
    }
    if (rows.error()) return failed(*rows.error());
    return page;
}

// "<select> WHERE [(<name>, <id>) > (?, ?)] [AND <tenant> = ?] … ORDER BY … LIMIT ?".
class ListQuery {
public:
    // Without a name column the order is that of the ids.
    ListQuery(std::string select, const Filter& filter, const char* id_column,
              const char* name_column = nullptr);
    // `condition` has one parameter; an absent value leaves it out.
    template <class T>
    ListQuery& where(const char* condition, const std::optional<T>& value) {
        if (!value) return *this;
        add(condition);
        if constexpr (std::is_same_v<T, std::string>)
            values_.emplace_back(*value);
        else
            values_.emplace_back(static_cast<int64_t>(*value));
        return *this;
    }
    Statement run(Database& db);

private:
    using Value = std::variant<std::string, int64_t>;
    void add(const std::string& condition);

    std::string text_;
    std::string order_;
    std::vector<Value> values_;
    int conditions_ = 0;
    int limit_;
};

}  // namespace cvlan::store
