// SPDX-License-Identifier: Apache-2.0
// Access tokens, and whom a shown token or session stands for.
#include "store/accounts.h"
#include "store/sql_accounts.h"
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

using model::AccessToken;

namespace {

constexpr int64_t kMostOfAnAccount = 1000;
constexpr const char* kSelect =
    "SELECT tenant_id, id, account_id, name, prefix, created_at, expires_at, last_used_at, "
    "revision FROM access_tokens";

AccessToken token_row(const Statement& row) {
    AccessToken token;
    token.tenant_id = row.text(0);
    token.id = row.text(1);
    token.account_id = row.text(2);
    token.name = row.text(3);
    token.prefix = row.text(4);
    token.created_at = row.time(5);
    token.expires_at = row.time(6);
    if (!row.is_null(7)) token.last_used_at = row.time(7);
    token.revision = row.integer(8);
    return token;
}

Result<AccessToken> find_token(Database& db, const Scope& scope, const std::string& id) {
    Statement row =
        db.sql(fmt::format("{} WHERE id = ?{}", kSelect, scope ? " AND tenant_id = ?" : ""), id);
    if (scope) row.bind(*scope);
    if (row.next()) return token_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "access token {}: not found", printable(id));
}

Result<Credential> find_credential(Database& db, bool is_session, const std::string& hash) {
    Statement row = db.sql(
        fmt::format("SELECT {}, c.id, c.expires_at, c.last_used_at, {} FROM {} c JOIN "
                    "accounts a ON a.tenant_id = c.tenant_id AND a.id = c.account_id WHERE "
                    "c.hash = ?",
                    kAccountColumns, kIsSuspended, is_session ? "sessions" : "access_tokens"),
        hash);
    if (row.next()) {
        const int c = kAccountColumnCount;
        Credential credential{account_row(row), row.text(c), is_session,
                              row.time(c + 1),  {},          row.integer(c + 3) != 0};
        if (!row.is_null(c + 2)) credential.last_used_at = row.time(c + 2);
        return credential;
    }
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "unknown credential");
}

}  // namespace

// One's own needs no role; another's is like making that account.
Result<void> Accounts::check_token_of(const Granter& granter, const model::Account& account) {
    if (granter && granter->tenant_id == account.tenant_id && granter->id == account.id) return {};
    return check_grant(granter, account.tenant_id, account.role);
}

Result<AccessToken> Accounts::create_token(const Granter& granter, const NewAccessToken& wanted) {
    return store_.write([&]() -> Result<AccessToken> {
        const Key& of = wanted.account;
        const Key key{of.tenant_id, new_uuid(unix_ms(store_.clock_.now()))};
        auto revision = store_.record(key, EventKind::AccessTokenCreated, {});
        if (!revision) return failed(revision.error());
        auto account = find(of.tenant_id, of.id);
        if (!account) return failed(account.error());
        if (auto good = check_token_of(granter, *account); !good) return failed(good.error());
        const bool is_own = granter && granter->id == account->id;
        if (!is_own && account->kind != model::AccountKind::Service)
            return fail_as("NOT_OWN", Code::Denied, "a user's tokens are made by that user alone");
        auto made = store_.db_
                        .sql(
                            "INSERT INTO access_tokens (tenant_id, id, account_id, name, prefix, "
                            "hash, created_at, expires_at, revision) VALUES (?, ?, ?, ?, ?, ?, ?, "
                            "?, ?)",
                            key.tenant_id, key.id, of.id, wanted.name, wanted.prefix, wanted.hash,
                            store_.clock_.now(), wanted.expires_at, *revision)
                        .run();
        if (!made) return failed(made.error());
        Statement held = store_.db_.sql(
            "SELECT count(*) FROM access_tokens WHERE tenant_id = ? AND account_id = ?",
            of.tenant_id, of.id);
        if (auto room = check_room(held, kMostOfAnAccount, "access tokens"); !room)
            return failed(room.error());
        return store_.audited(find_token(store_.db_, key.tenant_id, key.id));
    });
}

Result<Page<AccessToken>> Accounts::tokens(const Filter& filter,
                                           const std::optional<std::string>& account_id) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return store_.read([&] {
        Statement rows = ListQuery(kSelect, filter, "id", "name")
                             .where("tenant_id = ?", filter.tenant)
                             .where("account_id = ?", account_id)
                             .where("name = ?", filter.name)
                             .run(store_.db_);
        return read_page<AccessToken>(rows, filter, token_row);
    });
}

Result<AccessToken> Accounts::token(const Scope& scope, const std::string& id) {
    return store_.read([&] { return find_token(store_.db_, scope, id); });
}

Result<AccessToken> Accounts::remove_token(const Granter& granter, const Key& key) {
    return store_.write([&]() -> Result<AccessToken> {
        auto token = find_token(store_.db_, key.tenant_id, key.id);
        if (!token) return token;
        if (auto match = check_match(store_.cause_, token->revision); !match)
            return failed(match.error());
        auto event = store_.record(key, EventKind::AccessTokenDeleted, {}, public_text(*token));
        if (!event) return failed(event.error());
        auto account = find(key.tenant_id, token->account_id);
        if (!account) return failed(account.error());
        if (auto good = check_token_of(granter, *account); !good) return failed(good.error());
        auto done = store_.db_
                        .sql("DELETE FROM access_tokens WHERE tenant_id = ? AND id = ?",
                             key.tenant_id, key.id)
                        .run();
        if (!done) return failed(done.error());
        return token;
    });
}

Result<Credential> Accounts::by_token(const std::string& hash) {
    return store_.read([&] { return find_credential(store_.db_, false, hash); });
}

Result<Credential> Accounts::by_session(const std::string& hash) {
    return store_.read([&] { return find_credential(store_.db_, true, hash); });
}

Result<void> Accounts::set_used(const std::vector<Used>& all) {
    return store_.write([&]() -> Result<void> {
        for (const Used& used : all) {
            const char* table = used.is_session ? "sessions" : "access_tokens";
            auto done = store_.db_
                            .sql(fmt::format("UPDATE {} SET last_used_at = ? WHERE tenant_id = ? "
                                             "AND id = ?",
                                             table),
                                 used.at, used.credential.tenant_id, used.credential.id)
                            .run();
            if (!done) return done;
        }
        return {};
    });
}

}  // namespace cvlan::store
