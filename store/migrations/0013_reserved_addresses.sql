-- SPDX-License-Identifier: Apache-2.0
-- Addresses of a network that no node has: store/addresses.h.

CREATE TABLE reserved_addresses (
    tenant_id TEXT NOT NULL,
    network_id TEXT NOT NULL,
    address BLOB NOT NULL,
    holder TEXT NOT NULL,
    reserved_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, network_id, address),
    FOREIGN KEY (tenant_id, network_id) REFERENCES networks (tenant_id, id)
) STRICT, WITHOUT ROWID;
