// SPDX-License-Identifier: Apache-2.0
// How an account gets its password, and a session by it.
#include "store/accounts.h"
#include "store/sql_accounts.h"
#include "store/sql_store.h"

namespace cvlan::store {

using model::Account;

namespace {

tl::unexpected<Error> link_is_void() {
    return fail_as("LINK_INVALID", Code::Gone, "this link was used, replaced, or has run out");
}

// Of rows that have run out; whoever makes one takes more away.
constexpr int kForgottenAtOnce = 100;

}  // namespace

Result<void> end_bootstrap(Database& db) {
    return db.sql("DELETE FROM one_time_links WHERE account_id = ''").run();
}

Result<void> Accounts::put_link(const Key& account, const Link& link) {
    auto gone =
        store_.db_
            .sql(
                "DELETE FROM one_time_links WHERE (tenant_id = ? AND account_id = ?) OR expires_at "
                "<= ?",
                account.tenant_id, account.id, store_.clock_.now())
            .run();
    if (!gone) return gone;
    return store_.db_
        .sql(
            "INSERT INTO one_time_links (hash, tenant_id, account_id, created_at, expires_at) "
            "VALUES (?, ?, ?, ?, ?)",
            link.hash, account.tenant_id, account.id, store_.clock_.now(), link.expires_at)
        .run();
}

Result<Key> Accounts::spend_link(const std::string& hash) {
    Statement spent = store_.db_.sql(
        "DELETE FROM one_time_links WHERE hash = ? AND expires_at > ? RETURNING tenant_id, "
        "account_id",
        hash, store_.clock_.now());
    if (!spent.next()) return spent.error() ? failed(*spent.error()) : link_is_void();
    const Key key{spent.text(0), spent.text(1)};
    while (spent.next()) {
    }
    if (spent.error()) return failed(*spent.error());
    if (auto good = check_link_of(key); !good) return failed(good.error());
    return key;
}

// Above tenants there is none to be suspended.
Result<void> Accounts::check_link_of(const Key& account) {
    if (account.tenant_id.empty()) return {};
    if (auto tenant = store_.check_not_suspended(account.tenant_id); !tenant)
        return failed(tenant.error());
    return {};
}

Result<Key> Accounts::link(const std::string& hash) {
    return store_.read([&]() -> Result<Key> {
        Statement row = store_.db_.sql(
            "SELECT tenant_id, account_id FROM one_time_links WHERE hash = ? AND expires_at > ?",
            hash, store_.clock_.now());
        if (!row.next()) return row.error() ? failed(*row.error()) : link_is_void();
        const Key account{row.text(0), row.text(1)};
        if (auto good = check_link_of(account); !good) return failed(good.error());
        return account;
    });
}

Result<Account> Accounts::invite(const Granter& granter, const Key& key, const Link& link) {
    return store_.write([&]() -> Result<Account> {
        auto account = begin_change(key, EventKind::AccountInvited);
        if (!account) return account;
        // Who has the link becomes that account: it must not stand above who makes it.
        if (auto good = check_grant(granter, key.tenant_id, account->role); !good)
            return failed(good.error());
        if (account->kind != model::AccountKind::User)
            return fail(Code::Invalid, "a service account has no password");
        if (auto put = put_link(key, link); !put) return failed(put.error());
        return store_.audited(std::move(account));
    });
}

Result<void> Accounts::end_sessions(const Key& account) {
    return store_.db_
        .sql("DELETE FROM sessions WHERE tenant_id = ? AND account_id = ?", account.tenant_id,
             account.id)
        .run();
}

Result<Account> Accounts::accept(const std::string& link_hash, const std::string& password_hash) {
    return store_.write([&]() -> Result<Account> {
        auto key = spend_link(link_hash);
        if (!key) return failed(key.error());
        if (key->id.empty()) return link_is_void();  // the bootstrap's
        if (auto account = begin_change(*key, EventKind::PasswordSet); !account) return account;
        auto done = store_.db_
                        .sql("UPDATE accounts SET password_hash = ? WHERE tenant_id = ? AND id = ?",
                             password_hash, key->tenant_id, key->id)
                        .run();
        if (done) done = end_sessions(*key);
        if (!done) return failed(done.error());
        return store_.audited(find(key->tenant_id, key->id));
    });
}

Result<bool> Accounts::make_bootstrap(const Link& link) {
    return store_.write([&]() -> Result<bool> {
        // Operators come first.
        Statement any = store_.db_.sql("SELECT tenant_id FROM accounts ORDER BY tenant_id LIMIT 1");
        const bool is_there = any.next();
        const bool has_operator = is_there && any.text(0).empty();
        if (any.error()) return failed(*any.error());
        // One that an older program has left.
        if (has_operator)
            if (auto ended = end_bootstrap(store_.db_); !ended) return failed(ended.error());
        if (is_there) return false;
        if (auto put = put_link({}, link); !put) return failed(put.error());
        return true;
    });
}

Result<Account> Accounts::bootstrap(const std::string& link_hash, const std::string& email,
                                    const std::string& password_hash) {
    return store_.write([&]() -> Result<Account> {
        auto key = spend_link(link_hash);
        if (!key) return failed(key.error());
        if (!key->id.empty()) return link_is_void();
        return insert({}, {{}, model::AccountKind::User, email, model::TenantRole::Owner},
                      password_hash);
    });
}

Result<std::optional<Login>> Accounts::login(const std::optional<std::string>& tenant_name,
                                             const std::string& email) {
    return store_.read([&]() -> Result<std::optional<Login>> {
        Statement row = store_.db_.sql(
            fmt::format("SELECT {}, a.password_hash, {} FROM accounts a WHERE a.tenant_id = {} AND "
                        "a.kind = ? AND a.name = ? AND a.disabled = 0",
                        kAccountColumns, kIsSuspended,
                        tenant_name ? "(SELECT t.id FROM tenants t WHERE t.name = ?)" : "?"),
            tenant_name.value_or(""), model::AccountKind::User, email);
        std::optional<Login> login;
        if (row.next())
            login = Login{account_row(row), row.text(kAccountColumnCount),
                          row.integer(kAccountColumnCount + 1) != 0};
        if (row.error()) return failed(*row.error());
        return login;
    });
}

Result<Login> Accounts::login_of(const Key& key) {
    return store_.read([&]() -> Result<Login> {
        auto account = find(key.tenant_id, key.id);
        if (!account) return failed(account.error());
        Statement row =
            store_.db_.sql("SELECT password_hash FROM accounts WHERE tenant_id = ? AND id = ?",
                           key.tenant_id, key.id);
        Login login{std::move(*account), row.next() ? row.text(0) : "", false};
        if (row.error()) return failed(*row.error());
        return login;
    });
}

Result<Account> Accounts::change_password(const PasswordChange& change,
                                          const std::string& subject) {
    return store_.write([&]() -> Result<Account> {
        const Key& key = change.account;
        if (auto account = begin_change(key, EventKind::PasswordSet); !account) return account;
        auto done = check_still_good(key, change.before);
        if (done)
            done = store_.db_
                       .sql("UPDATE accounts SET password_hash = ? WHERE tenant_id = ? AND id = ?",
                            change.after, key.tenant_id, key.id)
                       .run();
        if (done)
            done = store_.db_
                       .sql(
                           "DELETE FROM sessions WHERE tenant_id = ? AND account_id = ? AND id <> "
                           "?",
                           key.tenant_id, key.id, change.kept_session)
                       .run();
        if (done)
            done = store_.db_
                       .sql("DELETE FROM one_time_links WHERE tenant_id = ? AND account_id = ?",
                            key.tenant_id, key.id)
                       .run();
        if (done)
            done = store_.db_.sql("DELETE FROM login_failures WHERE subject = ?", subject).run();
        if (!done) return failed(done.error());
        return store_.audited(find(key.tenant_id, key.id));
    });
}

Result<int64_t> Accounts::failures(const std::string& subject) {
    return store_.read([&]() -> Result<int64_t> {
        Statement row = store_.db_.sql(
            "SELECT failures FROM login_failures WHERE subject = ? AND forget_at > ?", subject,
            store_.clock_.now());
        const int64_t count = row.next() ? row.integer(0) : 0;
        if (row.error()) return failed(*row.error());
        return count;
    });
}

Result<void> Accounts::note_failure(const LoginFailure& failure) {
    return store_.write([&]() -> Result<void> {
        const WallTime now = store_.clock_.now();
        auto done = store_.db_
                        .sql(
                            "DELETE FROM login_failures WHERE subject IN (SELECT subject FROM "
                            "login_failures WHERE forget_at <= ? ORDER BY forget_at LIMIT ?)",
                            now, kForgottenAtOnce)
                        .run();
        for (const std::string& subject : failure.subjects)
            if (done)
                done = store_.db_
                           .sql(
                               "INSERT INTO login_failures (subject, failures, forget_at) VALUES "
                               "(?1, 1, ?2) ON CONFLICT (subject) DO UPDATE SET failures = CASE "
                               "WHEN login_failures.forget_at <= ?3 THEN 1 ELSE "
                               "login_failures.failures + 1 END, forget_at = excluded.forget_at",
                               subject, failure.forget_at, now)
                           .run();
        return done;
    });
}

// In the audit, but no event: it changes nothing that anybody remembers.
void Accounts::note(const Account& account, EventKind kind) {
    store_.draft({account.tenant_id, 0, kind, account.id, {}, store_.clock_.now()}, {});
}

Result<void> Accounts::check_still_good(const Key& account, const std::string& password_hash) {
    Statement row = store_.db_.sql(
        "SELECT 1 FROM accounts WHERE tenant_id = ? AND id = ? AND disabled = 0 AND password_hash "
        "= ?",
        account.tenant_id, account.id, password_hash);
    if (row.next()) return {};
    if (row.error()) return failed(*row.error());
    return fail_as("LOGIN_REFUSED", Code::Denied, "the account has changed");
}

Result<Credential> Accounts::start_session(const NewSession& session, const std::string& subject) {
    return store_.write([&]() -> Result<Credential> {
        const Key& key = session.account;
        const WallTime now = store_.clock_.now();
        if (auto good = check_still_good(key, session.password_hash); !good)
            return failed(good.error());
        const std::string id = new_uuid(unix_ms(now));
        auto done = store_.db_
                        .sql("UPDATE accounts SET last_login_at = ? WHERE tenant_id = ? AND id = ?",
                             now, key.tenant_id, key.id)
                        .run();
        if (done)
            done = store_.db_.sql("DELETE FROM login_failures WHERE subject = ?", subject).run();
        if (done)
            done = store_.db_
                       .sql(
                           "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE "
                           "expires_at <= ? ORDER BY expires_at LIMIT ?)",
                           now, kForgottenAtOnce)
                       .run();
        if (done)
            done = store_.db_
                       .sql(
                           "INSERT INTO sessions (tenant_id, id, account_id, hash, created_at, "
                           "last_used_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                           key.tenant_id, id, key.id, session.hash, now, now, session.expires_at)
                       .run();
        if (!done) return failed(done.error());
        auto account = find(key.tenant_id, key.id);
        if (!account) return failed(account.error());
        note(*account, EventKind::SessionStarted);
        return Credential{std::move(*account), id, true, session.expires_at, now};
    });
}

Result<void> Accounts::end_session(const Key& key, const std::string& session_id) {
    return store_.write([&]() -> Result<void> {
        auto account = find(key.tenant_id, key.id);
        if (!account) return failed(account.error());
        note(*account, EventKind::SessionEnded);
        return store_.db_
            .sql("DELETE FROM sessions WHERE tenant_id = ? AND id = ?", key.tenant_id, session_id)
            .run();
    });
}

}  // namespace cvlan::store
