-- SPDX-License-Identifier: Apache-2.0
-- What a controller asked the whole table of events for at its start stands with the rows it is of.

-- enrolled_at: last; null where that was before there was the column. came_in_at: the revision at
-- which the node enrolled, was approved or joined a further network last.
ALTER TABLE nodes ADD COLUMN enrolled_at INTEGER;
ALTER TABLE nodes ADD COLUMN came_in_at INTEGER NOT NULL DEFAULT 0;
UPDATE nodes SET came_in_at = came.last FROM
    (SELECT tenant_id, object_id, max(revision) AS last FROM events WHERE kind IN (8, 9, 32)
        GROUP BY tenant_id, object_id) AS came
    WHERE came.tenant_id = nodes.tenant_id AND came.object_id = nodes.id;

-- removed_at: the revision at which a node or a network was last taken away. Until now no earlier
-- than what retention has taken of the events.
ALTER TABLE tenants ADD COLUMN removed_at INTEGER NOT NULL DEFAULT 0;
UPDATE tenants SET removed_at =
    coalesce((SELECT min(e.revision) - 1 FROM events e WHERE e.tenant_id = tenants.id), revision);
UPDATE tenants SET removed_at = gone.last FROM
    (SELECT tenant_id, max(revision) AS last FROM events WHERE kind IN (4, 11, 12, 13)
        GROUP BY tenant_id) AS gone
    WHERE gone.tenant_id = tenants.id AND gone.last > removed_at;

-- Where a node can be reached: forgotten long before the others.
CREATE INDEX events_of_endpoints ON events (tenant_id, revision) WHERE kind = 15;
-- Tenants that are gone.
CREATE INDEX events_of_ends ON events (tenant_id, revision) WHERE kind = 2;

-- Of the source, in bytes: what a history holds is known without reading it.
ALTER TABLE policy_revisions ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
UPDATE policy_revisions SET size = length(source);
