-- SPDX-License-Identifier: Apache-2.0
-- Bytes through the tunnels of a network, as its nodes have reported them. What networks that are gone have carried
-- stays under '': it is their tenant's usage.
CREATE TABLE network_traffic (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    network_id TEXT NOT NULL,
    received INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, network_id)
) STRICT, WITHOUT ROWID;

-- What the node's counters stood at when they were counted last, a HealthReport with nothing else; null: never.
ALTER TABLE node_health ADD COLUMN traffic TEXT NOT NULL DEFAULT '';
ALTER TABLE node_health ADD COLUMN counted_at INTEGER;
