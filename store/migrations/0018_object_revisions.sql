-- SPDX-License-Identifier: Apache-2.0
-- Each object has the revision of its last change, for its ETag. Those of webhooks and jobs, whose changes are no
-- events of a tenant, count for themselves.

ALTER TABLE accounts ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE access_tokens ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token_keys ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- Until then the webhook's secret before this one signs too.
ALTER TABLE webhooks ADD COLUMN previous_secret_until INTEGER NOT NULL DEFAULT 0;
