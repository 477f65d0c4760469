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
// A page token that is a number; 0 where there is none.
Result<int64_t> number_of(const std::string& page_token);

// A page ends early with the object that makes it so big: what one object holds is the tenant's to
// say, and what one answer costs is not.
inline constexpr size_t kPageBytes = 1 << 20;

template <class T>
std::string token_after(const T& last, const Filter& filter) {
    if constexpr (requires { last.name; })
        if (filter.order_by == OrderBy::Name) return last.id + ":" + last.name;
    return last.id;
}

// Reads up to page_size rows of a statement that was made to return one more.
template <class T, class ReadRow>
Result<Page<T>> read_page(Statement& rows, const Filter& filter, ReadRow read_row) {
    Page<T> page;
    while (rows.next()) {
        if (page.items.size() == static_cast<size_t>(filter.page_size)) {
            page.next_page_token = token_after(page.items.back(), filter);
            break;
        }
        page.items.push_back(read_row(rows));
    }
    if (rows.error()) return failed(*rows.error());
    return page;
}

// Reads what is big of each object, one after the other. load(object) tells its bytes.
template <class T, class Load, class TokenAfter>
Result<Page<T>> fill_page(Page<T> page, Load load, TokenAfter token_after_last) {
    size_t bytes = 0;
    for (size_t i = 0; i < page.items.size(); ++i) {
        const Result<size_t> loaded = load(page.items[i]);
        if (!loaded) return failed(loaded.error());
        bytes += *loaded;
        if (bytes < kPageBytes || i + 1 == page.items.size()) continue;
        page.items.resize(i + 1);
        page.next_page_token = token_after_last(page.items.back());
    }
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
