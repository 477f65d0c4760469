-- SPDX-License-Identifier: Apache-2.0
-- One chain a tenant, which outlives it, and one of the operator's own (tenant_id ''): each row holds the
-- hash of the one before (model/audit.h says over what). Never a secret.

CREATE TABLE audit (
    tenant_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    request_id TEXT NOT NULL,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL,
    before_json TEXT NOT NULL,
    after_json TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_by_time ON audit (tenant_id, at);

-- Where each chain begins and ends, so that rows missing there are found too. pruned_*: the last row that
-- retention took away, 0 and '' while it took none.
CREATE TABLE audit_heads (
    tenant_id TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    hash TEXT NOT NULL,
    pruned_sequence INTEGER NOT NULL,
    pruned_hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;
