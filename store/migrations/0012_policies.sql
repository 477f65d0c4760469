-- SPDX-License-Identifier: Apache-2.0
-- Policy documents with their history, and the settings of a tenant.

-- number: of the newest revision. active_number: of the one in force; of a tenant's documents at most one has it.
CREATE TABLE policies (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    number INTEGER NOT NULL,
    active_number INTEGER,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX policies_by_id ON policies (id);
CREATE UNIQUE INDEX policies_active ON policies (tenant_id) WHERE active_number IS NOT NULL;

CREATE TABLE policy_revisions (
    tenant_id TEXT NOT NULL,
    policy_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, policy_id, number),
    FOREIGN KEY (tenant_id, policy_id) REFERENCES policies (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- A tenant without a row has the defaults of model::Settings.
CREATE TABLE settings (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    device_approval INTEGER NOT NULL,
    node_key_life_s INTEGER,
    map_expiry INTEGER NOT NULL,
    audit_retention_days INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
