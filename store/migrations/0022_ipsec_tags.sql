-- SPDX-License-Identifier: Apache-2.0
-- Which algorithms IPsec may use in a network, a model::CryptoProfile, and the tags of nodes that are reached over IPsec where the
-- network's data plane is AUTO.

ALTER TABLE networks ADD COLUMN crypto_profile INTEGER NOT NULL DEFAULT 0;

CREATE TABLE network_ipsec_tags (
    tenant_id TEXT NOT NULL,
    network_id TEXT NOT NULL,
    tag_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, network_id, tag_id),
    FOREIGN KEY (tenant_id, network_id) REFERENCES networks (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, tag_id) REFERENCES objects (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX network_ipsec_tags_by_tag ON network_ipsec_tags (tenant_id, tag_id);

-- The node has one of the network's: a change of this is a change of the membership, and has its revision.
ALTER TABLE memberships ADD COLUMN ipsec INTEGER NOT NULL DEFAULT 0;
