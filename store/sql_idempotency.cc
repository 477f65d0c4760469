// SPDX-License-Identifier: Apache-2.0
#include "store/idempotency.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {
constexpr int64_t kAtOnce = 500;
}  // namespace

Result<std::optional<SpentKey>> Idempotency::find(const std::string& key_hash) {
    return store_.read([&]() -> Result<std::optional<SpentKey>> {
        Statement row = store_.db_.sql(
            "SELECT request_hash, request_id, answer FROM idempotency WHERE actor = ? AND key_hash "
            "= ? AND at >= ?",
            store_.cause_.actor, key_hash, store_.clock_.now() - kKept);
        const bool is_there = row.next();
        if (row.error()) return failed(*row.error());
        if (!is_there) return std::nullopt;
        return SpentKey{row.text(0), row.text(1), row.text(2)};
    });
}

Result<void> Idempotency::keep_answer(const std::string& key_hash, const std::string& answer) {
    return store_.write([&]() -> Result<void> {
        return store_.db_
            .sql(
                "UPDATE idempotency SET answer = ? WHERE actor = ? AND key_hash = ? AND request_id "
                "= ?",
                answer, store_.cause_.actor, key_hash, store_.cause_.request_id)
            .run();
    });
}

Result<int64_t> Idempotency::prune() {
    return store_.write([&]() -> Result<int64_t> {
        Statement gone = store_.db_.sql(
            "DELETE FROM idempotency WHERE (actor, key_hash) IN (SELECT actor, key_hash FROM "
            "idempotency WHERE at < ? ORDER BY at LIMIT ?) RETURNING at",
            store_.clock_.now() - kKept, kAtOnce);
        int64_t count = 0;
        while (gone.next()) ++count;
        if (gone.error()) return failed(*gone.error());
        return count;
    });
}

// A request that changes several things, each in a transaction, spends its key with the first.
Result<void> SqlBase::spend_key() {
    const IdempotencyKey& key = *cause_.idempotency;
    const WallTime now = clock_.now();
    auto forgotten = db_.sql("DELETE FROM idempotency WHERE actor = ? AND key_hash = ? AND at < ?",
                             cause_.actor, key.key_hash, now - Idempotency::kKept)
                         .run();
    if (!forgotten) return failed(forgotten.error());
    auto spent = db_.sql(
                        "INSERT INTO idempotency (actor, key_hash, request_hash, request_id, at, "
                        "answer) VALUES (?, ?, ?, ?, ?, '') ON CONFLICT DO NOTHING",
                        cause_.actor, key.key_hash, key.request_hash, cause_.request_id, now)
                     .run();
    if (!spent) return failed(spent.error());
    Statement holder =
        db_.sql("SELECT request_id FROM idempotency WHERE actor = ? AND key_hash = ?", cause_.actor,
                key.key_hash);
    const bool is_ours = holder.next() && holder.text(0) == cause_.request_id;
    if (holder.error()) return failed(*holder.error());
    if (is_ours) return {};
    return fail_as(kIdempotencyInProgress, Code::Conflict,
                   "another request with this Idempotency-Key came first");
}

}  // namespace cvlan::store
