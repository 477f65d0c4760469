// SPDX-License-Identifier: Apache-2.0
#include "store/postgres_arrays.h"

#include <cassert>

namespace cvlan::store {

namespace {

// Most significant byte first.
template <class Unsigned>
void append(std::string& bytes, Unsigned value) {
    for (size_t shift = 8 * sizeof value; shift > 0; shift -= 8)
        bytes.push_back(static_cast<char>(value >> (shift - 8)));
}

// catalog/pg_type.dat: typarray
Oid array_of(Oid element) {
    if (element == kInt8) return 1016;
    return element == kBytea ? 1001 : 1009;
}

}  // namespace

void PostgresArrays::put(Oid type, std::string_view value) {
    Column& column = columns_[next_];
    next_ = (next_ + 1) % columns_.size();
    assert(column.count == 0 || column.type == type);
    column.type = type;
    ++column.count;
    append(column.elements, static_cast<uint32_t>(value.size()));
    column.elements += value;
}

void PostgresArrays::put(int64_t value) {
    std::string bytes;
    append(bytes, static_cast<uint64_t>(value));
    put(kInt8, bytes);
}

std::vector<PgParameter> PostgresArrays::parameters() const {
    std::vector<PgParameter> parameters;
    parameters.reserve(columns_.size());
    for (const Column& column : columns_) {
        std::string array;
        array.reserve(5 * sizeof(uint32_t) + column.elements.size());
        append(array, uint32_t{1});  // one dimension
        append(array, uint32_t{0});  // no NULL
        append(array, uint32_t{column.type});
        append(array, column.count);
        append(array, uint32_t{1});  // its first index
        array += column.elements;
        parameters.push_back({array_of(column.type), std::move(array)});
    }
    return parameters;
}

}  // namespace cvlan::store
