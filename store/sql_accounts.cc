// SPDX-License-Identifier: Apache-2.0
// Accounts, and who may change them. Each change records first: that locks the tenant's row, so
// that what is read after it can not change before the commit.
#include "store/sql_accounts.h"

#include "store/accounts.h"
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

using model::Account;
using model::AccountKind;
using model::TenantRole;

namespace {

Result<void> check_role(const std::string& tenant_id, TenantRole role) {
    if (!tenant_id.empty() || role == TenantRole::Auditor || role == TenantRole::Owner) return {};
    return failed(
        Error{Code::Invalid, "role: above tenants there are AUDITOR and OWNER alone", 0, "/role"});
}

// An owner that is disabled or has no password yet keeps no tenant alive.
bool is_working_owner(const Account& account) {
    return account.kind == AccountKind::User && account.role == TenantRole::Owner &&
           !account.disabled && account.has_password;
}

}  // namespace

Account account_row(const Statement& row) {
    Account account;
    account.tenant_id = row.text(0);
    account.id = row.text(1);
    account.kind = static_cast<AccountKind>(row.integer(2));
    account.name = row.text(3);
    account.role = static_cast<TenantRole>(row.integer(4));
    account.disabled = row.integer(5) != 0;
    account.has_password = !row.text(6).empty();
    account.created_at = row.time(7);
    if (!row.is_null(8)) account.last_login_at = row.time(8);
    account.revision = row.integer(9);
    return account;
}

Result<Account> Accounts::find(const Scope& scope, const std::string& id) {
    Statement row =
        store_.db_.sql(fmt::format("SELECT {} FROM accounts a WHERE a.id = ?{}", kAccountColumns,
                                   scope ? " AND a.tenant_id = ?" : ""),
                       id);
    if (scope) row.bind(*scope);
    if (row.next()) return account_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "account {}: not found", printable(id));
}

Result<void> Accounts::check_grant(const Granter& granter, const std::string& tenant_id,
                                   TenantRole role) {
    if (!granter) return {};
    auto who = find(granter->tenant_id, granter->id);
    if (!who && who.error().code != Code::NotFound) return failed(who.error());
    if (!who || who->disabled)
        return fail_as("ROLE_TOO_LOW", Code::Denied, "whoever asks has no account any more");
    const bool is_above = who->tenant_id.empty();
    if (!is_above && who->tenant_id != tenant_id)
        return fail(Code::NotFound, "tenant {}: not found", printable(tenant_id));
    if (who->role < (is_above ? TenantRole::Owner : TenantRole::Admin))
        return fail_as("ROLE_TOO_LOW", Code::Denied,
                       "the role of whoever asks does not allow this");
    if (!is_above && role > who->role)
        return fail_as("ABOVE_OWN_ROLE", Code::Denied,
                       "nobody grants a role above their own, nor changes who has one");
    return {};
}

Result<void> Accounts::check_last_owner(const Account& account) {
    if (!is_working_owner(account)) return {};
    Statement others = store_.db_.sql(
        "SELECT count(*) FROM accounts WHERE tenant_id = ? AND kind = ? AND role = ? AND disabled "
        "= 0 AND password_hash <> '' AND id <> ?",
        account.tenant_id, AccountKind::User, TenantRole::Owner, account.id);
    const int64_t count = others.next() ? others.integer(0) : 0;
    if (others.error()) return failed(*others.error());
    if (count > 0) return {};
    return fail_as("LAST_OWNER", Code::Conflict, "this is the last owner: make another one first");
}

Result<Account> Accounts::insert(const Granter& granter, const NewAccount& wanted,
                                 const std::string& password_hash) {
    const Key key{wanted.tenant_id, new_uuid(unix_ms(store_.clock_.now()))};
    auto revision = store_.record(key, EventKind::AccountCreated, {});
    if (!revision) return failed(revision.error());
    auto good = check_grant(granter, wanted.tenant_id, wanted.role);
    if (good) good = check_role(wanted.tenant_id, wanted.role);
    if (!good) return failed(good.error());
    Statement taken =
        store_.db_.sql("SELECT 1 FROM accounts WHERE tenant_id = ? AND kind = ? AND name = ?",
                       wanted.tenant_id, wanted.kind, wanted.name);
    if (taken.next()) return fail(Code::Exists, "account '{}' is there already", wanted.name);
    if (taken.error()) return failed(*taken.error());
    auto made =
        store_.db_
            .sql(
                "INSERT INTO accounts (tenant_id, id, kind, name, role, password_hash, created_at, "
                "revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                key.tenant_id, key.id, wanted.kind, wanted.name, wanted.role, password_hash,
                store_.clock_.now(), *revision)
            .run();
    if (!made) return failed(made.error());
    auto fits = key.tenant_id.empty() ? end_bootstrap(store_.db_)
                                      : store_.check_quota(key.tenant_id, SqlStore::Quota::Users);
    if (!fits) return failed(fits.error());
    return store_.audited(find(key.tenant_id, key.id));
}

Result<Account> Accounts::begin_change(const Key& key, EventKind kind) {
    auto revision = store_.record(key, kind, {});
    if (!revision) return failed(revision.error());
    auto account = find(key.tenant_id, key.id);
    if (!account) return account;
    if (auto match = check_match(store_.cause_, account->revision); !match)
        return failed(match.error());
    store_.drafts().back().before = public_text(*account);
    auto counted = store_.db_
                       .sql("UPDATE accounts SET revision = ? WHERE tenant_id = ? AND id = ?",
                            *revision, key.tenant_id, key.id)
                       .run();
    if (!counted) return failed(counted.error());
    account->revision = *revision;
    return account;
}

Result<Account> Accounts::create(const Granter& granter, const NewAccount& wanted) {
    return store_.write([&]() -> Result<Account> {
        auto made = insert(granter, wanted, {});
        if (!made || !wanted.invitation) return made;
        if (auto put = put_link({made->tenant_id, made->id}, *wanted.invitation); !put)
            return failed(put.error());
        return made;
    });
}

Result<Page<Account>> Accounts::list(const Filter& filter, AccountKind kind) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return store_.read([&] {
        Statement rows = ListQuery(fmt::format("SELECT {} FROM accounts a", kAccountColumns),
                                   filter, "a.id", "a.name")
                             .where("a.kind = ?", std::optional(kind))
                             .where("a.tenant_id = ?", filter.tenant)
                             .where("a.name = ?", filter.name)
                             .where("a.role = ?", filter.account_role)
                             .where("a.disabled = ?", filter.disabled)
                             .run(store_.db_);
        return read_page<Account>(rows, filter, account_row);
    });
}

Result<Account> Accounts::get(const Scope& scope, const std::string& id) {
    return store_.read([&] { return find(scope, id); });
}

Result<Account> Accounts::change(const Granter& granter, const Key& key,
                                 const AccountChange& wanted) {
    return store_.write([&]() -> Result<Account> {
        auto account = begin_change(key, EventKind::AccountChanged);
        if (!account) return account;
        const TenantRole role = wanted.role.value_or(account->role);
        const bool disabled = wanted.disabled.value_or(account->disabled);
        auto good = check_grant(granter, key.tenant_id, std::max(role, account->role));
        if (good && (role != TenantRole::Owner || disabled)) good = check_last_owner(*account);
        if (good) good = check_role(key.tenant_id, role);
        if (!good) return failed(good.error());
        auto done =
            store_.db_
                .sql("UPDATE accounts SET role = ?, disabled = ? WHERE tenant_id = ? AND id = ?",
                     role, disabled ? 1 : 0, key.tenant_id, key.id)
                .run();
        if (done && disabled) done = end_sessions(key);
        if (!done) return failed(done.error());
        return store_.audited(find(key.tenant_id, key.id));
    });
}

Result<Account> Accounts::remove(const Granter& granter, const Key& key) {
    return store_.write([&]() -> Result<Account> {
        auto account = begin_change(key, EventKind::AccountDeleted);
        if (!account) return account;
        auto good = check_grant(granter, key.tenant_id, account->role);
        if (good) good = check_last_owner(*account);
        if (good) good = drop_links_to(store_.db_, key);
        if (!good) return failed(good.error());
        for (const char* step :
             {"DELETE FROM one_time_links WHERE tenant_id = ? AND account_id = ?",
              "DELETE FROM accounts WHERE tenant_id = ? AND id = ?"})
            if (auto done = store_.db_.sql(step, key.tenant_id, key.id).run(); !done)
                return failed(done.error());
        return account;
    });
}

}  // namespace cvlan::store
