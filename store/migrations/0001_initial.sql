-- SPDX-License-Identifier: Apache-2.0
-- Times are milliseconds since 1970, addresses are their bytes in network order (so that they compare as
-- numbers do), ids are UUIDs in lower case. No private key and no token stands in here.

CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kid TEXT NOT NULL,
    purpose INTEGER NOT NULL,
    public_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, kid)
) STRICT, WITHOUT ROWID;

-- *_next: the lowest address that was never given; null once the last one is gone.
CREATE TABLE networks (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    mtu INTEGER NOT NULL,
    ipv4_first BLOB,
    ipv4_last BLOB,
    ipv4_length INTEGER,
    ipv4_next BLOB,
    ipv6_first BLOB,
    ipv6_last BLOB,
    ipv6_length INTEGER,
    ipv6_next BLOB,
    node_count INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX networks_by_id ON networks (id);
CREATE INDEX networks_by_ipv4 ON networks (tenant_id, ipv4_first);
CREATE INDEX networks_by_ipv6 ON networks (tenant_id, ipv6_first);

CREATE TABLE tokens (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    network_id TEXT NOT NULL,
    role INTEGER NOT NULL,
    nonce_hash TEXT NOT NULL,
    uses_total INTEGER NOT NULL,
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, network_id) REFERENCES networks (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tokens_by_id ON tokens (id);
CREATE INDEX tokens_by_network ON tokens (tenant_id, network_id, id);

CREATE TABLE nodes (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    state INTEGER NOT NULL,
    role INTEGER NOT NULL,
    certificate_serial TEXT NOT NULL,
    previous_serial TEXT NOT NULL DEFAULT '',
    tls_key_hash TEXT NOT NULL,
    previous_tls_key_hash TEXT NOT NULL DEFAULT '',
    certificate_expires_at INTEGER NOT NULL,
    enrolled_with TEXT NOT NULL,
    hostname TEXT NOT NULL DEFAULT '',
    os TEXT NOT NULL DEFAULT '',
    kernel TEXT NOT NULL DEFAULT '',
    architecture TEXT NOT NULL DEFAULT '',
    agent_version TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER,
    revision INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, tls_key_hash)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX nodes_by_id ON nodes (id);
CREATE INDEX nodes_by_previous_key ON nodes (tenant_id, previous_tls_key_hash)
    WHERE previous_tls_key_hash <> '';

CREATE TABLE node_mac_addresses (
    tenant_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    mac_address TEXT NOT NULL,
    PRIMARY KEY (tenant_id, node_id, position),
    FOREIGN KEY (tenant_id, node_id) REFERENCES nodes (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- endpoints: ADDR:PORT or [v6]:PORT with spaces between, in the node's order.
CREATE TABLE memberships (
    tenant_id TEXT NOT NULL,
    network_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    wireguard_key TEXT NOT NULL UNIQUE,
    ipv4 BLOB,
    ipv6 BLOB,
    listen_port INTEGER NOT NULL DEFAULT 0,
    endpoints TEXT NOT NULL DEFAULT '',
    revision INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, network_id, node_id),
    UNIQUE (tenant_id, network_id, ipv4),
    UNIQUE (tenant_id, network_id, ipv6),
    FOREIGN KEY (tenant_id, network_id) REFERENCES networks (tenant_id, id),
    FOREIGN KEY (tenant_id, node_id) REFERENCES nodes (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_by_node ON memberships (tenant_id, node_id);

-- Addresses that were given and came back: in quarantine, then free.
CREATE TABLE released_addresses (
    tenant_id TEXT NOT NULL,
    network_id TEXT NOT NULL,
    family INTEGER NOT NULL,
    address BLOB NOT NULL,
    quarantined_until INTEGER NOT NULL,
    is_free INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, network_id, family, address),
    FOREIGN KEY (tenant_id, network_id) REFERENCES networks (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX released_in_quarantine
    ON released_addresses (tenant_id, network_id, family, quarantined_until) WHERE is_free = 0;
CREATE INDEX released_free
    ON released_addresses (tenant_id, network_id, family, address) WHERE is_free = 1;

-- Keys of revoked nodes. Of no tenant: such a key is worth nothing anywhere, for good.
CREATE TABLE barred_keys (
    kind INTEGER NOT NULL,
    hash TEXT NOT NULL,
    barred_at INTEGER NOT NULL,
    PRIMARY KEY (kind, hash)
) STRICT, WITHOUT ROWID;

-- Outlives its tenant.
CREATE TABLE events (
    tenant_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    object_id TEXT NOT NULL,
    network_ids TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, revision)
) STRICT, WITHOUT ROWID;
