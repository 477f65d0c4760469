// SPDX-License-Identifier: Apache-2.0
#include "store/webhooks.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "model/objects.h"
#include "store/event_names.h"
#include "store/events.h"
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect =
    "SELECT tenant_id, id, name, url, events, enabled, delivered, attempts, next_try_at, "
    "last_result, last_delivered_at, created_at, secret_number, previous_secret_until, revision "
    "FROM webhooks";
constexpr int kMostOfATenant = 20;
constexpr int kLookedThrough = 200;  // events at a time, for one that a hook asked for

std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> all;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(' ', at), text.size());
        all.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return all;
}

Webhook webhook_row(const Statement& row) {
    Webhook webhook;
    webhook.tenant_id = row.text(0);
    webhook.id = row.text(1);
    webhook.name = row.text(2);
    webhook.url = row.text(3);
    webhook.events = words(row.text(4));
    webhook.is_enabled = row.integer(5) != 0;
    webhook.delivered = row.integer(6);
    webhook.attempts = static_cast<int>(row.integer(7));
    webhook.next_try_at = row.time(8);
    webhook.last_result = row.text(9);
    if (!row.is_null(10)) webhook.last_delivered_at = row.time(10);
    webhook.created_at = row.time(11);
    webhook.secret_number = row.integer(12);
    webhook.previous_secret_until = row.time(13);
    webhook.revision = row.integer(14);
    return webhook;
}

// What the audit keeps of it.
std::string public_form(const Webhook& webhook) {
    model::wire::Webhook form;
    form.id = webhook.id;
    form.tenant_id = webhook.tenant_id;
    form.name = webhook.name;
    form.url = webhook.url;
    form.events = webhook.events;
    form.enabled = webhook.is_enabled;
    form.created_at = webhook.created_at;
    return encode(form);
}

bool asks_for(const Webhook& webhook, EventKind kind) {
    const std::string_view name = name_of(kind).name;
    if (webhook.events.empty()) return kind != EventKind::EndpointsChanged;
    return std::find(webhook.events.begin(), webhook.events.end(), name) != webhook.events.end();
}

tl::unexpected<Error> not_found(const std::string& id) {
    return fail(Code::NotFound, "webhook {}: not found", printable(id));
}

}  // namespace

Result<Webhook> Webhooks::find(const Scope& scope, const std::string& id) {
    Statement row = store_.db_.sql(fmt::format("{} WHERE id = ?", kSelect), id);
    std::optional<Webhook> found;
    if (row.next()) found = webhook_row(row);
    if (row.error()) return failed(*row.error());
    if (!found || (scope && *scope != found->tenant_id)) return not_found(id);
    return *found;
}

void Webhooks::audit(const Webhook& webhook, const char* action, const std::string& before,
                     const std::string& after) {
    store_.draft_without_event({.tenant_id = webhook.tenant_id,
                                .action = action,
                                .object_kind = "webhook",
                                .object_id = webhook.id,
                                .before = before,
                                .after = after});
}

Result<void> Webhooks::check_room(const std::string& tenant_id) {
    Statement held = store_.db_.sql("SELECT count(*) FROM webhooks WHERE tenant_id = ?", tenant_id);
    if (held.next() && held.integer(0) >= kMostOfATenant)
        return fail(Code::Conflict, "a tenant has at most {} webhooks", kMostOfATenant);
    if (held.error()) return failed(*held.error());
    return {};
}

Result<void> Webhooks::check_free(const std::string& tenant_id, const std::string& name) {
    Statement taken =
        store_.db_.sql("SELECT 1 FROM webhooks WHERE tenant_id = ? AND name = ?", tenant_id, name);
    if (taken.next()) return fail(Code::Exists, "webhook name '{}' is taken", name);
    if (taken.error()) return failed(*taken.error());
    return {};
}

Result<Webhook> Webhooks::create(const NewWebhook& wanted) {
    if (auto name = model::check_name("name", wanted.name); !name) return failed(name.error());
    return store_.write([&]() -> Result<Webhook> {
        auto tenant = store_.find_tenant(wanted.tenant_id);
        if (!tenant) return failed(tenant.error());
        if (auto room = check_room(wanted.tenant_id); !room) return failed(room.error());
        if (auto free = check_free(wanted.tenant_id, wanted.name); !free)
            return failed(free.error());
        const WallTime now = store_.clock_.now();
        const std::string id = new_uuid(unix_ms(now));
        auto made = store_.db_
                        .sql(
                            "INSERT INTO webhooks (tenant_id, id, name, url, events, delivered, "
                            "created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                            wanted.tenant_id, id, wanted.name, wanted.url,
                            fmt::format("{}", fmt::join(wanted.events, " ")), tenant->revision, now)
                        .run();
        if (!made) return failed(made.error());
        auto webhook = find(wanted.tenant_id, id);
        if (webhook) audit(*webhook, "WEBHOOK_CREATED", "", public_form(*webhook));
        return webhook;
    });
}

Result<Page<Webhook>> Webhooks::list(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return store_.read([&]() -> Result<Page<Webhook>> {
        Statement rows = ListQuery(kSelect, filter, "id", "name")
                             .where("tenant_id = ?", filter.tenant)
                             .where("name = ?", filter.name)
                             .where("enabled = ?", filter.enabled)
                             .run(store_.db_);
        return read_page<Webhook>(rows, filter, webhook_row);
    });
}

Result<Webhook> Webhooks::webhook(const Scope& scope, const std::string& id) {
    return store_.read([&] { return find(scope, id); });
}

// As it is before the change.
Result<Webhook> Webhooks::begin_change(const Key& key) {
    auto webhook = find(key.tenant_id, key.id);
    if (!webhook) return webhook;
    if (auto match = check_match(store_.cause_, webhook->revision); !match)
        return failed(match.error());
    return webhook;
}

Result<Webhook> Webhooks::changed(const Webhook& before, const char* action) {
    auto after = find(before.tenant_id, before.id);
    if (after) audit(*after, action, public_form(before), public_form(*after));
    return after;
}

Result<Webhook> Webhooks::change(const Key& key, const WebhookChange& wanted) {
    if (wanted.name)
        if (auto name = model::check_name("name", *wanted.name); !name) return failed(name.error());
    return store_.write([&]() -> Result<Webhook> {
        auto before = begin_change(key);
        if (!before) return before;
        const std::string name = wanted.name.value_or(before->name);
        const std::string url = wanted.url.value_or(before->url);
        const auto events = wanted.events.value_or(before->events);
        const bool is_enabled = wanted.is_enabled.value_or(before->is_enabled);
        const bool is_tried = url == before->url && is_enabled == before->is_enabled;
        if (is_tried && name == before->name && events == before->events) return before;
        if (name != before->name)
            if (auto free = check_free(key.tenant_id, name); !free) return failed(free.error());
        auto done = store_.db_
                        .sql(
                            "UPDATE webhooks SET name = ?, url = ?, events = ?, enabled = ?, "
                            "attempts = ?, next_try_at = ?, revision = revision + 1 WHERE id = ?",
                            name, url, fmt::format("{}", fmt::join(events, " ")), is_enabled,
                            is_tried ? before->attempts : 0,
                            is_tried ? before->next_try_at : from_unix_ms(0), key.id)
                        .run();
        if (!done) return failed(done.error());
        return changed(*before, "WEBHOOK_CHANGED");
    });
}

Result<Webhook> Webhooks::rotate_secret(const Key& key) {
    return store_.write([&]() -> Result<Webhook> {
        auto before = begin_change(key);
        if (!before) return before;
        auto done = store_.db_
                        .sql(
                            "UPDATE webhooks SET secret_number = secret_number + 1, "
                            "previous_secret_until = ?, revision = revision + 1 WHERE id = ?",
                            store_.clock_.now() + kSecretsOverlap, key.id)
                        .run();
        if (!done) return failed(done.error());
        return changed(*before, "WEBHOOK_SECRET_ROTATED");
    });
}

Result<Revision> Webhooks::remove(const Key& key) {
    return store_.write([&]() -> Result<Revision> {
        auto webhook = begin_change(key);
        if (!webhook) return failed(webhook.error());
        auto gone = store_.db_.sql("DELETE FROM webhooks WHERE id = ?", key.id).run();
        if (!gone) return failed(gone.error());
        audit(*webhook, "WEBHOOK_DELETED", public_form(*webhook), "");
        return webhook->revision;
    });
}

Result<bool> Webhooks::is_any_due() {
    return store_.read([&]() -> Result<bool> {
        Statement row = store_.db_.sql(
            "SELECT 1 FROM webhooks w JOIN tenants t ON t.id = w.tenant_id WHERE w.enabled = 1 AND "
            "w.next_try_at <= ? AND t.revision > w.delivered LIMIT 1",
            store_.clock_.now());
        const bool is_due = row.next();
        if (row.error()) return failed(*row.error());
        return is_due;
    });
}

// Events in between that it did not ask for are passed over, and need no look again.
Result<std::optional<Delivery>> Webhooks::next_of(const Webhook& webhook) {
    Revision through = webhook.delivered;
    // Both of one state: what is committed between the two would be passed over unseen.
    auto events = store_.read([&]() -> Result<std::vector<Event>> {
        constexpr Revision kLast = std::numeric_limits<Revision>::max();
        auto found =
            read_events(store_.db_, {webhook.tenant_id, webhook.delivered, kLast}, kLookedThrough);
        if (!found || !found->empty()) return found;
        // Where retention was quicker there is nothing to tell.
        auto tenant = store_.find_tenant(webhook.tenant_id);
        if (!tenant) return failed(tenant.error());
        through = tenant->revision;
        return found;
    });
    if (!events) return failed(events.error());
    const auto wanted = std::find_if(events->begin(), events->end(), [&](const Event& event) {
        return asks_for(webhook, event.kind);
    });
    if (wanted != events->end()) return Delivery{webhook, *wanted};
    if (!events->empty()) through = events->back().revision;
    auto passed = store_.write([&] {
        return store_.db_
            .sql("UPDATE webhooks SET delivered = ? WHERE id = ? AND delivered = ?", through,
                 webhook.id, webhook.delivered)
            .run();
    });
    if (!passed) return failed(passed.error());
    return std::optional<Delivery>{};
}

// Who has waited longest is first, since it was told something or since its next try.
Result<std::vector<Webhook>> Webhooks::behind(int limit) {
    return store_.read([&]() -> Result<std::vector<Webhook>> {
        std::vector<Webhook> found;
        Statement rows = store_.db_.sql(
            fmt::format("{} w WHERE w.enabled = 1 AND w.next_try_at <= ? AND w.delivered < (SELECT "
                        "revision FROM tenants WHERE id = w.tenant_id) ORDER BY CASE WHEN "
                        "coalesce(w.last_delivered_at, 0) > w.next_try_at THEN "
                        "w.last_delivered_at ELSE w.next_try_at END, w.id LIMIT ?",
                        kSelect),
            store_.clock_.now(), limit);
        while (rows.next()) found.push_back(webhook_row(rows));
        if (rows.error()) return failed(*rows.error());
        return found;
    });
}

Result<std::vector<Delivery>> Webhooks::due(int limit) {
    std::vector<Delivery> deliveries;
    // Those who had nothing to be told have made room for others.
    while (deliveries.empty()) {
        auto hooks = behind(limit);
        if (!hooks) return failed(hooks.error());
        if (hooks->empty()) break;
        for (const Webhook& webhook : *hooks) {
            auto next = next_of(webhook);
            if (!next) return failed(next.error());
            if (*next) deliveries.push_back(std::move(**next));
        }
    }
    return deliveries;
}

Result<void> Webhooks::delivered(const Delivery& delivery, const std::string& result) {
    return store_.write([&] {
        return store_.db_
            .sql(
                "UPDATE webhooks SET delivered = ?, attempts = 0, next_try_at = 0, last_result = "
                "?, last_delivered_at = ? WHERE id = ? AND delivered = ?",
                delivery.event.revision, result, store_.clock_.now(), delivery.webhook.id,
                delivery.webhook.delivered)
            .run();
    });
}

Result<void> Webhooks::not_delivered(const Delivery& delivery, const std::string& result,
                                     std::optional<WallTime> next_try_at) {
    return store_.write([&] {
        const bool is_given_up = !next_try_at;
        return store_.db_
            .sql(
                "UPDATE webhooks SET delivered = ?, attempts = ?, next_try_at = ?, last_result = ? "
                "WHERE id = ? AND delivered = ?",
                is_given_up ? delivery.event.revision : delivery.webhook.delivered,
                is_given_up ? 0 : delivery.webhook.attempts + 1,
                is_given_up ? from_unix_ms(0) : *next_try_at, result, delivery.webhook.id,
                delivery.webhook.delivered)
            .run();
    });
}

}  // namespace cvlan::store
