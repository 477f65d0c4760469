-- SPDX-License-Identifier: Apache-2.0
-- Who administers. tenant_id '' is above tenants: the operators' own accounts. A password stands here in
-- argon2id's encoded form; all else that proves something as the hex SHA-256 of 32 random bytes.

-- The revision of what is of no tenant, as tenants.revision.
ALTER TABLE meta ADD COLUMN operator_revision INTEGER NOT NULL DEFAULT 0;

-- The account that made a token ("user:<id>"), and whose the nodes are that enrolled with it. '': nobody's.
ALTER TABLE tokens ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- name: a user's e-mail address in lower case, a service account's label.
CREATE TABLE accounts (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    role INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    password_hash TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    last_login_at INTEGER,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kind, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX accounts_by_id ON accounts (id);

CREATE TABLE access_tokens (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX access_tokens_by_id ON access_tokens (id);
CREATE INDEX access_tokens_by_account ON access_tokens (tenant_id, account_id, id);

CREATE TABLE sessions (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (tenant_id, account_id, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- A link that sets a password once: an account's own, or with an empty account_id the bootstrap's.
CREATE TABLE one_time_links (
    hash TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX one_time_links_by_account ON one_time_links (tenant_id, account_id);

-- Logins that failed, by whom they named (whether there is such an account or not) and by where they came
-- from. A row ends at forget_at.
CREATE TABLE login_failures (
    subject TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    forget_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX login_failures_by_time ON login_failures (forget_at);
