// SPDX-License-Identifier: Apache-2.0
// Keys that make tokens offline, and how such a token becomes a row when it is first used.
#include <fmt/ranges.h>

#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect =
    "SELECT tenant_id, id, name, kid, public_key, created_at, revision FROM token_keys";
constexpr int64_t kMostOfATenant = 100;
constexpr int64_t kMostUses = 100000;
constexpr auto kLongestLife = std::chrono::hours(24 * 366);

model::TokenKey token_key_row(const Statement& row) {
    return {row.text(0), row.text(1), row.text(2),   row.text(3),
            row.text(4), row.time(5), row.integer(6)};
}

}  // namespace

Result<model::TokenKey> SqlStore::find_token_key(const Scope& scope, const std::string& id) {
    Statement row =
        db_.sql(fmt::format("{} WHERE id = ?{}", kSelect, scope ? " AND tenant_id = ?" : ""), id);
    if (scope) row.bind(*scope);
    if (row.next()) return token_key_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "token key {}: not found", printable(id));
}

Result<model::TokenKey> SqlStore::create_token_key(const model::TokenKey& wanted) {
    if (auto good = model::check_name("name", wanted.name); !good) return failed(good.error());
    return write([&]() -> Result<model::TokenKey> {
        const WallTime now = clock_.now();
        const Key key{wanted.tenant_id, new_uuid(unix_ms(now))};
        Statement taken =
            db_.sql("SELECT name FROM token_keys WHERE tenant_id = ? AND (name = ? OR kid = ?)",
                    wanted.tenant_id, wanted.name, wanted.kid);
        if (taken.next())
            return fail(Code::Exists, "token key '{}' has this name or this public key",
                        taken.text(0));
        if (taken.error()) return failed(*taken.error());
        auto revision = record(key, EventKind::TokenKeyCreated, {});
        if (!revision) return failed(revision.error());
        auto made = db_.sql(
                           "INSERT INTO token_keys (tenant_id, id, name, kid, public_key, "
                           "created_at, revision) VALUES (?, ?, ?, ?, ?, ?, ?)",
                           key.tenant_id, key.id, wanted.name, wanted.kid, wanted.public_key, now,
                           *revision)
                        .run();
        if (!made) return failed(made.error());
        Statement held =
            db_.sql("SELECT count(*) FROM token_keys WHERE tenant_id = ?", key.tenant_id);
        if (auto room = check_room(held, kMostOfATenant, "token keys"); !room)
            return failed(room.error());
        return audited(find_token_key(key.tenant_id, key.id));
    });
}

Result<Page<model::TokenKey>> SqlStore::token_keys(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return read([&] {
        Statement rows = ListQuery(kSelect, filter, "id", "name")
                             .where("tenant_id = ?", filter.tenant)
                             .where("name = ?", filter.name)
                             .run(db_);
        return read_page<model::TokenKey>(rows, filter, token_key_row);
    });
}

Result<model::TokenKey> SqlStore::token_key(const Scope& scope, const std::string& id) {
    return read([&] { return find_token_key(scope, id); });
}

Result<model::TokenKey> SqlStore::find_token_key_of(const std::string& tenant_id,
                                                    const std::string& kid) {
    Statement row =
        db_.sql(fmt::format("{} WHERE tenant_id = ? AND kid = ?", kSelect), tenant_id, kid);
    if (row.next()) return token_key_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "token key: not found");
}

Result<model::TokenKey> SqlStore::token_key_of(const std::string& tenant_id,
                                               const std::string& kid) {
    return read([&] { return find_token_key_of(tenant_id, kid); });
}

Result<Revision> SqlStore::delete_token_key(const Key& key) {
    return write([&]() -> Result<Revision> {
        auto known = find_token_key(key.tenant_id, key.id);
        if (!known) return failed(known.error());
        if (auto match = check_match(cause_, known->revision); !match) return failed(match.error());
        auto revision = record(key, EventKind::TokenKeyDeleted, {}, public_text(*known));
        if (!revision) return revision;
        // Rows of its tokens stay: they are what was spent.
        auto revoked = db_.sql(
                              "UPDATE tokens SET revoked = 1, revision = ? WHERE tenant_id = ? AND "
                              "token_key_id = ?",
                              *revision, key.tenant_id, key.id)
                           .run();
        if (!revoked) return failed(revoked.error());
        auto gone =
            db_.sql("DELETE FROM token_keys WHERE tenant_id = ? AND id = ?", key.tenant_id, key.id)
                .run();
        if (!gone) return failed(gone.error());
        return revision;
    });
}

// A token that was made offline gets its row when it is first used. Its key is looked for here once
// more: it may have been deleted since the signature was verified.
Result<model::Token> SqlStore::admit_offline(const model::TokenClaims& claims) {
    auto key = find_token_key_of(claims.tenant_id, claims.kid);
    if (!key && key.error().code != Code::NotFound) return failed(key.error());
    if (!key) return fail_as(model::kTokenInvalid, Code::Denied, "token is unknown here");
    const WallTime now = clock_.now();
    if (claims.uses > kMostUses || claims.expires_at > now + kLongestLife)
        return fail_as(model::kTokenInvalid, Code::Denied,
                       "token was made for more than 366 days or 100000 uses");
    auto revision = record({claims.tenant_id, claims.id}, EventKind::TokenCreated, {});
    if (!revision) return failed(revision.error());
    auto made =
        db_.sql(
               "INSERT INTO tokens (tenant_id, id, network_id, role, nonce_hash, "
               "uses_total, uses_left, created_at, expires_at, token_key_id, revision, tags) "
               "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
               claims.tenant_id, claims.id, network_of(claims), claims.role,
               model::nonce_hash(claims), claims.uses, claims.uses, now, claims.expires_at, key->id,
               *revision, fmt::format("{}", fmt::join(claims.tags, " ")))
            .run();
    if (!made) return failed(made.error());
    if (auto fits = check_quota(claims.tenant_id, Quota::Tokens); !fits)
        return failed(fits.error());
    return audited(find_token(claims.tenant_id, claims.id));
}

}  // namespace cvlan::store
