// SPDX-License-Identifier: Apache-2.0
#pragma once

// Many rows as the parameters of one statement: each column an array, in the binary form that
// PostgreSQL reads (src/backend/utils/adt/arrayfuncs.c, array_recv). A server spends half on such a
// statement of what a list of VALUES costs it, and its text is the same for any number of rows.
// Only store includes it.

#include <string>
#include <string_view>
#include <vector>

#include "store/postgres.h"

namespace cvlan::store {

// catalog/pg_type.dat
inline constexpr Oid kInt8 = 20;
inline constexpr Oid kText = 25;
inline constexpr Oid kBytea = 17;

class PostgresArrays {
public:
    explicit PostgresArrays(size_t columns) : columns_(columns) {}

    // The next value, row by row; none is NULL.
    void put(Oid type, std::string_view value);
    void put(int64_t value);
    // One parameter a column.
    std::vector<PgParameter> parameters() const;

private:
    struct Column {
        Oid type = 0;  // of its elements
        uint32_t count = 0;
        std::string elements{};
    };

    std::vector<Column> columns_;
    size_t next_ = 0;  // the column of the next value
};

}  // namespace cvlan::store
