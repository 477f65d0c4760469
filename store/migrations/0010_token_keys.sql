-- SPDX-License-Identifier: Apache-2.0
-- Public halves of the keys that a tenant's own people make registration tokens with, offline.

CREATE TABLE token_keys (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    kid TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, kid)
) STRICT, WITHOUT ROWID;

-- The key that made a token offline; empty where the controller made it.
ALTER TABLE tokens ADD COLUMN token_key_id TEXT NOT NULL DEFAULT '';
