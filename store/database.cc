// SPDX-License-Identifier: Apache-2.0
#include "store/database.h"

namespace cvlan::store {

std::optional<Address> Statement::address(int column) const {
    if (is_null(column)) return std::nullopt;
    auto address = Address::from_bytes(bytes(column));
    if (!address) return std::nullopt;
    return *address;
}

Result<Transaction> Transaction::begin(Database& db, Access access) {
    if (auto begun = db.begin(access); !begun) return failed(begun.error());
    return Transaction(db);
}

Result<void> Transaction::commit() {
    auto done = db_->commit();
    if (done) db_ = nullptr;
    return done;
}

}  // namespace cvlan::store
