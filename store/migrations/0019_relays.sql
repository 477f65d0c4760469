-- SPDX-License-Identifier: Apache-2.0
-- Relays: where they are, who has one as a home, what they must not forward for any more, and by which path nodes
-- reach each other.

ALTER TABLE objects ADD COLUMN stun_port INTEGER NOT NULL DEFAULT 3478;

-- The node's home relay, an object's id; '': none. A relay that is gone may stand here.
ALTER TABLE memberships ADD COLUMN relay_id TEXT NOT NULL DEFAULT '';

-- Nodes that were shut out, until the last grant that they may have for relays has run out. A node may be back.
CREATE TABLE barred_nodes (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    node_id TEXT NOT NULL,
    barred_until INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, node_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX barred_nodes_by_end ON barred_nodes (barred_until);

-- What a node reported last: peers is a HealthReport of api/openapi.yaml.
CREATE TABLE node_health (
    tenant_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    reported_at INTEGER NOT NULL,
    peers TEXT NOT NULL,
    PRIMARY KEY (tenant_id, node_id),
    FOREIGN KEY (tenant_id, node_id) REFERENCES nodes (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- A relay's token is of no network: network_id is null.
CREATE TABLE tokens_of_any_role (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    network_id TEXT,
    role INTEGER NOT NULL,
    nonce_hash TEXT NOT NULL,
    uses_total INTEGER NOT NULL,
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '',
    token_key_id TEXT NOT NULL DEFAULT '',
    revision INTEGER NOT NULL DEFAULT 0,
    tags TEXT NOT NULL DEFAULT '',
    ephemeral_ms INTEGER,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, network_id) REFERENCES networks (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO tokens_of_any_role (tenant_id, id, network_id, role, nonce_hash, uses_total, uses_left, created_at,
        expires_at, revoked, owner, token_key_id, revision, tags, ephemeral_ms)
    SELECT tenant_id, id, CASE role WHEN 2 THEN NULL ELSE network_id END, role, nonce_hash, uses_total, uses_left, created_at,
        expires_at, revoked, owner, token_key_id, revision, tags, ephemeral_ms FROM tokens;
DROP TABLE tokens;
ALTER TABLE tokens_of_any_role RENAME TO tokens;
CREATE UNIQUE INDEX tokens_by_id ON tokens (id);
CREATE INDEX tokens_by_network ON tokens (tenant_id, network_id, id);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);
