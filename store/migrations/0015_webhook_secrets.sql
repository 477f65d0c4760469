-- SPDX-License-Identifier: Apache-2.0
-- Which of a webhook's secrets signs: each is derived from the controller's key and its number.

ALTER TABLE webhooks ADD COLUMN secret_number INTEGER NOT NULL DEFAULT 0;
