-- SPDX-License-Identifier: Apache-2.0
-- Changes that were asked for with an Idempotency-Key, written with the change itself. The key stands here as
-- a hash, and the answer sealed with it: neither can be had from the database alone.

CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    request_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (actor, key_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_time ON idempotency (at);
