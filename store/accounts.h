// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Store's verbs of accounts and of what they prove themselves by; as store.h says of its own.
// What somebody shows (a token, a cookie, a link) is given here as its SHA-256 in hex. Valid as
// long as the store, or the view of it, that it was asked of.

#include <optional>
#include <string>
#include <vector>

#include "model/accounts.h"
#include "store/types.h"

namespace cvlan::store {

class SqlStore;

// Who makes or changes an account, or something of one; none is the operator on the controller's
// own socket. The role is read inside the transaction of the change, so that one who is just being
// lowered or deleted grants nothing any more. Denied where it would exceed that role, and where the
// account that it is about stands above it.
using Granter = std::optional<Key>;

struct Link {
    std::string hash;
    WallTime expires_at{};
};

struct NewAccount {
    std::string tenant_id;  // empty: above tenants
    model::AccountKind kind = model::AccountKind::User;
    std::string name;
    model::TenantRole role = model::TenantRole::Member;
    std::optional<Link> invitation{};
};

// What is not set is left as it is.
struct AccountChange {
    std::optional<model::TenantRole> role{};
    std::optional<bool> disabled{};
};

// Of a user that may log in.
struct Login {
    model::Account account;
    std::string password_hash;  // argon2id's encoded form; empty: has none yet
    bool is_suspended = false;  // its tenant
};

struct NewSession {
    Key account;
    std::string password_hash;  // that the password was good for: one changed since gives none
    std::string hash;
    WallTime expires_at{};
};

struct PasswordChange {
    Key account;
    std::string before;  // the hash that the present password was good for
    std::string after;
    std::string kept_session{};  // by its id; empty: none
};

struct NewAccessToken {
    Key account;
    std::string name;
    std::string prefix;
    std::string hash;
    WallTime expires_at{};
};

// An access token or a session, and whom it stands for.
struct Credential {
    model::Account account;
    std::string id;
    bool is_session = false;
    WallTime expires_at{};
    std::optional<WallTime> last_used_at{};
    bool is_suspended = false;  // the account's tenant
};

struct Used {
    Key credential;
    bool is_session = false;
    WallTime at{};
};

// Whom failed logins are counted against, and until when this one counts.
struct LoginFailure {
    std::vector<std::string> subjects;
    WallTime forget_at{};
};

class Accounts {
public:
    explicit Accounts(SqlStore& store) : store_(store) {}

    Result<model::Account> create(const Granter& granter, const NewAccount& account);
    Result<Page<model::Account>> list(const Filter& filter, model::AccountKind kind);
    Result<model::Account> get(const Scope& scope, const std::string& id);
    // Conflict LAST_OWNER where a tenant would be left without an owner that can log in.
    Result<model::Account> change(const Granter& granter, const Key& account,
                                  const AccountChange& change);
    // What it was.
    Result<model::Account> remove(const Granter& granter, const Key& account);

    // A new link; earlier ones of the account are void.
    Result<model::Account> invite(const Granter& granter, const Key& account, const Link& link);
    // Whose link it is; an empty id is the bootstrap. Gone LINK_INVALID; Denied TENANT_SUSPENDED,
    // and good again when the tenant is resumed.
    Result<Key> link(const std::string& hash);
    // Spends a link: sets the password, ends the account's sessions.
    Result<model::Account> accept(const std::string& link_hash, const std::string& password_hash);
    // Where there is no account yet. False: there is one, and no link is made.
    Result<bool> make_bootstrap(const Link& link);
    // Spends the bootstrap's link for the first operator.
    Result<model::Account> bootstrap(const std::string& link_hash, const std::string& email,
                                     const std::string& password_hash);

    // Of the tenant of this name; without one, above tenants. Nothing where there is no such user,
    // or it is disabled.
    Result<std::optional<Login>> login(const std::optional<std::string>& tenant_name,
                                       const std::string& email);
    Result<Login> login_of(const Key& account);
    // The account's sessions end, but the one that is kept, and its links are void. Denied
    // LOGIN_REFUSED where the password changed meanwhile. Forgets the failures of `subject`.
    Result<model::Account> change_password(const PasswordChange& change,
                                           const std::string& subject);
    Result<int64_t> failures(const std::string& subject);
    Result<void> note_failure(const LoginFailure& failure);
    // Denied LOGIN_REFUSED where the account was disabled, or its password changed, meanwhile.
    // Forgets the failures of `subject`.
    Result<Credential> start_session(const NewSession& session, const std::string& subject);
    Result<void> end_session(const Key& account, const std::string& session_id);

    // For the account itself, or for a service account that is not above the granter.
    Result<model::AccessToken> create_token(const Granter& granter, const NewAccessToken& token);
    Result<Page<model::AccessToken>> tokens(const Filter& filter,
                                            const std::optional<std::string>& account_id);
    Result<model::AccessToken> token(const Scope& scope, const std::string& id);
    Result<model::AccessToken> remove_token(const Granter& granter, const Key& token);

    // NotFound where nobody has it; neither says whether it is still good.
    Result<Credential> by_token(const std::string& hash);
    Result<Credential> by_session(const std::string& hash);
    // In one transaction, without an event.
    Result<void> set_used(const std::vector<Used>& used);

private:
    Result<model::Account> find(const Scope& scope, const std::string& id);
    // Both record first: that locks the tenant's row, so that what is read then stays so.
    Result<model::Account> insert(const Granter& granter, const NewAccount& account,
                                  const std::string& password_hash);
    Result<model::Account> begin_change(const Key& account, EventKind kind);
    Result<void> put_link(const Key& account, const Link& link);
    Result<Key> spend_link(const std::string& hash);
    Result<void> check_link_of(const Key& account);
    Result<void> end_sessions(const Key& account);
    Result<void> check_grant(const Granter& granter, const std::string& tenant_id,
                             model::TenantRole role);
    Result<void> check_token_of(const Granter& granter, const model::Account& account);
    Result<void> check_last_owner(const model::Account& account);
    Result<void> check_still_good(const Key& account, const std::string& password_hash);
    void note(const model::Account& account, EventKind kind);

    SqlStore& store_;
};

}  // namespace cvlan::store
