-- SPDX-License-Identifier: Apache-2.0
-- Work that is done again and again, by one controller at a time. lease counts up whenever somebody takes the
-- job: what is written for it is written only while that number stands, in the same transaction.

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    next_run_at INTEGER NOT NULL,
    lease INTEGER NOT NULL DEFAULT 0,
    holder TEXT NOT NULL DEFAULT '',
    leased_until INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    finished_at INTEGER,
    succeeded INTEGER NOT NULL DEFAULT 1,
    result TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- For the retention of tokens, and to find certificates that nobody renewed.
CREATE INDEX tokens_by_expiry ON tokens (expires_at);
CREATE INDEX nodes_by_certificate ON nodes (certificate_expires_at);
