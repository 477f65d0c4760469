-- SPDX-License-Identifier: Apache-2.0
-- What carries a network's packets: a model::DataPlane.

ALTER TABLE networks ADD COLUMN data_plane INTEGER NOT NULL DEFAULT 0;
