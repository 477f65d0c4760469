// SPDX-License-Identifier: Apache-2.0
#pragma once

// Webhooks: addresses that are told of a tenant's events. Each goes through them in their order,
// one at a time: what is not taken is tried again, later and later, and given up after a day or so.

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/types.h"

namespace cvlan::store {

class SqlStore;

struct Webhook {
    std::string tenant_id;
    std::string id;
    std::string name;
    std::string url;
    std::vector<std::string> events;  // their names; none: all but ENDPOINTS_CHANGED
    bool is_enabled = true;
    int64_t secret_number = 0;         // which of its secrets signs
    WallTime previous_secret_until{};  // the one before it signs too
    Revision delivered = 0;            // done with up to here
    int attempts = 0;                  // at the event after that
    WallTime next_try_at{};
    std::string last_result;
    std::optional<WallTime> last_delivered_at;
    WallTime created_at{};
    Revision revision = 0;  // counts its own changes; what is delivered is none
};

struct NewWebhook {
    std::string tenant_id;
    std::string name;
    std::string url;
    std::vector<std::string> events;
};

// What is not set is left as it is.
struct WebhookChange {
    std::optional<std::string> name{};
    std::optional<std::string> url{};
    std::optional<std::vector<std::string>> events{};
    std::optional<bool> is_enabled{};
};

struct Delivery {
    Webhook webhook;
    Event event;
};

// The store's verbs about webhooks, got by Store::webhooks(); valid as long as that store.
class Webhooks {
public:
    explicit Webhooks(SqlStore& store) : store_(store) {}

    // Told is what happens from now on.
    Result<Webhook> create(const NewWebhook& webhook);
    Result<Page<Webhook>> list(const Filter& filter);
    Result<Webhook> webhook(const Scope& scope, const std::string& id);
    // With another address, or enabled again, it is tried at once.
    Result<Webhook> change(const Key& webhook, const WebhookChange& change);
    // What is delivered from now on is signed with another secret; for a day with this one too.
    Result<Webhook> rotate_secret(const Key& webhook);
    static constexpr std::chrono::hours kSecretsOverlap{24};
    Result<Revision> remove(const Key& webhook);  // its last

    // Whether any has an event before it.
    Result<bool> is_any_due();
    // The next event of each that is due, at most `limit`; passes over those a hook did not ask
    // for.
    Result<std::vector<Delivery>> due(int limit);
    Result<void> delivered(const Delivery& delivery, const std::string& result);
    // Tried again at `next_try_at`; none: given up, and the event after it is next.
    Result<void> not_delivered(const Delivery& delivery, const std::string& result,
                               std::optional<WallTime> next_try_at);

private:
    Result<void> check_room(const std::string& tenant_id);
    Result<void> check_free(const std::string& tenant_id, const std::string& name);
    Result<Webhook> changed(const Webhook& before, const char* action);
    Result<Webhook> find(const Scope& scope, const std::string& id);
    Result<Webhook> begin_change(const Key& webhook);
    Result<std::vector<Webhook>> behind(int limit);
    Result<std::optional<Delivery>> next_of(const Webhook& webhook);
    void audit(const Webhook& webhook, const char* action, const std::string& before,
               const std::string& after);

    SqlStore& store_;
};

}  // namespace cvlan::store
