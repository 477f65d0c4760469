-- SPDX-License-Identifier: Apache-2.0
-- Tenants with limits, nodes that wait for approval, end or are no agent, and the objects of a tenant that are
-- alike: tags, groups, regions, relays and virtual routers.

-- own_revision: of the last change of the tenant's own row, where revision rises with every change in it.
-- max_*: null means no limit.
ALTER TABLE tenants ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN own_revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN max_networks INTEGER;
ALTER TABLE tenants ADD COLUMN max_nodes INTEGER;
ALTER TABLE tenants ADD COLUMN max_users INTEGER;
ALTER TABLE tenants ADD COLUMN max_tokens INTEGER;

-- tags: names with spaces between. ephemeral_ms: its nodes go when they were not there for so long.
ALTER TABLE tokens ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN ephemeral_ms INTEGER;

-- approved: a node that is not comes back PENDING. An external node has no certificate: its tls_key_hash is
-- 'external:' and its id, which is no hash of any key.
ALTER TABLE nodes ADD COLUMN approved INTEGER NOT NULL DEFAULT 1;
ALTER TABLE nodes ADD COLUMN external INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN ephemeral_ms INTEGER;
ALTER TABLE nodes ADD COLUMN key_expires_at INTEGER;
CREATE INDEX nodes_ephemeral ON nodes (tenant_id, id) WHERE ephemeral_ms IS NOT NULL;
CREATE INDEX nodes_by_key_expiry ON nodes (key_expires_at)
    WHERE key_expires_at IS NOT NULL AND state IN (0, 3);

-- kind: model::ObjectKind. endpoints: of a relay, as memberships have them.
CREATE TABLE objects (
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    endpoints TEXT NOT NULL DEFAULT '',
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kind, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX objects_by_id ON objects (id);
CREATE INDEX objects_by_kind ON objects (kind, id);

-- What an object points to: model::Relation says at what. The target's own table has it.
CREATE TABLE object_links (
    tenant_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    relation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    target_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, object_id, relation, target_id),
    FOREIGN KEY (tenant_id, object_id) REFERENCES objects (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX object_links_by_target ON object_links (tenant_id, target_id);

CREATE TABLE node_tags (
    tenant_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    tag_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, node_id, tag_id),
    FOREIGN KEY (tenant_id, node_id) REFERENCES nodes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, tag_id) REFERENCES objects (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX node_tags_by_tag ON node_tags (tenant_id, tag_id, node_id);
