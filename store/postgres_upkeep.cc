// SPDX-License-Identifier: Apache-2.0
#include "store/postgres_upkeep.h"

#include "store/migrate.h"
#include "store/postgres.h"

namespace cvlan::store {

Result<std::vector<std::string>> check_database(const PostgresAddress& address,
                                                const Clock& clock) {
    auto db = PostgresDatabase::open(address);
    auto schema = db ? schema_of(**db) : failed(db.error());
    if (!schema) return failed(schema.error().while_doing("PostgreSQL"));
    if (*schema != newest_schema())
        return fail(Code::Unsupported,
                    "the database has schema {}, this program knows {}: start it once", *schema,
                    newest_schema());
    auto store = open_postgres(address, clock, Create::No);
    if (!store) return failed(store.error());
    return (*store)->upkeep().check();
}

}  // namespace cvlan::store
