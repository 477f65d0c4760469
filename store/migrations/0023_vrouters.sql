-- SPDX-License-Identifier: Apache-2.0
-- Who of a network speaks with whom, a model::Topology, and which of its nodes is its vrouter.

ALTER TABLE networks ADD COLUMN topology INTEGER NOT NULL DEFAULT 0;

-- Of a vrouter: the prefixes behind it, with a space between.
ALTER TABLE objects ADD COLUMN routes TEXT NOT NULL DEFAULT '';

-- A vrouter runs on the node and has the network, with its routes: a change of either is a change of the membership, and has its revision.
ALTER TABLE memberships ADD COLUMN gateway INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memberships ADD COLUMN routes TEXT NOT NULL DEFAULT '';
