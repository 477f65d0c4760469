// SPDX-License-Identifier: Apache-2.0
#pragma once

// Webhooks of a tenant. What signs for one is derived from the controller's key and its id: it
// stands in no database and is shown when the webhook is made.

#include "api/context.h"
#include "store/webhooks.h"

namespace cvlan::api {

http::Response list_webhooks(Context& context, const Call& call, const AdminIdentity& who);
http::Response create_webhook(Context& context, const Call& call, const AdminIdentity& who);
http::Response get_webhook(Context& context, const Call& call, const AdminIdentity& who);
http::Response update_webhook(Context& context, const Call& call, const AdminIdentity& who);
http::Response rotate_webhook_secret(Context& context, const Call& call, const AdminIdentity& who);
http::Response delete_webhook(Context& context, const Call& call, const AdminIdentity& who);

// Whether something may be sent there: an address of the Internet, or one that the configuration
// allows. Asked of an address itself, when a connection to it is made.
bool may_be_fetched(const Settings& settings, const Address& address);

// "cvlan_whs_…", the same until it is rotated.
SecretText webhook_secret(const pki::SigningKey& controller_key, const store::Webhook& webhook);
// What signs at that time: the same, and while they overlap the one before it.
std::vector<SecretText> webhook_secrets(const pki::SigningKey& controller_key,
                                        store::Webhook webhook, WallTime now);

}  // namespace cvlan::api
