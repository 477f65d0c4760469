-- SPDX-License-Identifier: Apache-2.0
-- Sites behind devices that are no part of CloudVLAN. Lists are words with a space between, auth and start_action the
-- API's words. secret: of PSK, sealed with a key that is in no database (api/connections.cc), in base64; empty: none.

CREATE TABLE ipsec_connections (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    network_id TEXT NOT NULL,
    remote_addresses TEXT NOT NULL,
    remote_identity TEXT NOT NULL,
    local_identity TEXT NOT NULL,
    auth TEXT NOT NULL,
    remote_ca TEXT NOT NULL,
    local_subnets TEXT NOT NULL,
    remote_subnets TEXT NOT NULL,
    ike_proposals TEXT NOT NULL,
    esp_proposals TEXT NOT NULL,
    start_action TEXT NOT NULL,
    dpd_seconds INTEGER NOT NULL,
    rekey_seconds INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    secret TEXT NOT NULL,
    secret_revision INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ipsec_connections_by_id ON ipsec_connections (id);
CREATE INDEX ipsec_connections_by_network ON ipsec_connections (tenant_id, network_id);
