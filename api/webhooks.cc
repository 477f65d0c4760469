// SPDX-License-Identifier: Apache-2.0
#include "api/webhooks.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"
#include "base/public_address.h"
#include "http/https_url.h"
#include "store/event_names.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

constexpr size_t kMostEvents = 100;

wire::Webhook show(const store::Webhook& webhook) {
    wire::Webhook answer;
    answer.id = webhook.id;
    answer.tenant_id = webhook.tenant_id;
    answer.name = webhook.name;
    answer.url = webhook.url;
    answer.events = webhook.events;
    answer.enabled = webhook.is_enabled;
    answer.attempts = webhook.attempts;
    if (webhook.attempts > 0) answer.next_try_at = webhook.next_try_at;
    if (!webhook.last_result.empty()) answer.last_result = webhook.last_result;
    answer.last_delivered_at = webhook.last_delivered_at;
    answer.created_at = webhook.created_at;
    return answer;
}

Error at(const char* pointer, const Error& why) {
    Error error = why.while_doing(pointer + 1);
    error.pointer = pointer;
    return error;
}

// A name is only looked up when something is delivered; what it stands for may change at any time.
Result<void> check_url(const Settings& settings, const std::string& text) {
    const auto url = http::HttpsUrl::parse(text);
    if (!url) return failed(at("/url", url.error()));
    const auto address = Address::parse(url->host);
    if (!address || may_be_fetched(settings, *address)) return {};
    return failed(at(
        "/url", {Code::Invalid, fmt::format("{} is no address of the Internet", address->text())}));
}

Result<void> check_events(const std::vector<std::string>& events) {
    if (events.size() > kMostEvents) return failed(at("/events", {Code::Invalid, "are too many"}));
    for (const std::string& name : events)
        if (!store::event_kind_of(name))
            return failed(at("/events", {Code::Invalid,
                                         fmt::format("there is no event '{}'", printable(name))}));
    return {};
}

Result<store::Webhook> find(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    return call.store.webhooks().webhook(*scope, call.id);
}

// With what signs, which is shown this once. One that was only tried is of no use to anybody.
http::Response secret_response(const Context& context, const Call& call, int status,
                               const store::Webhook& webhook) {
    wire::WebhookCreated answer;
    answer.webhook = show(webhook);
    if (!call.validate_only)
        answer.secret = webhook_secret(context.controller_key, webhook).reveal();
    auto response = tagged_response(status, answer, webhook.revision);
    response.headers.push_back({"Cache-Control", "no-store"});
    return response;
}

}  // namespace

bool may_be_fetched(const Settings& settings, const Address& address) {
    if (is_public(address)) return true;
    return std::any_of(settings.webhook_prefixes.begin(), settings.webhook_prefixes.end(),
                       [&](const Prefix& prefix) { return prefix.contains(address); });
}

// An Ed25519 signature is the same for the same message, and nobody without the key can make it.
SecretText webhook_secret(const pki::SigningKey& controller_key, const store::Webhook& webhook) {
    std::string what = fmt::format("cvlan-webhook-1 {} {}", webhook.tenant_id, webhook.id);
    if (webhook.secret_number > 0) what += fmt::format(" {}", webhook.secret_number);
    Bytes signature = controller_key.sign(as_bytes(what));
    SecretText secret("cvlan_whs_" + base64url(sha256(signature)));
    OPENSSL_cleanse(signature.data(), signature.size());
    return secret;
}

std::vector<SecretText> webhook_secrets(const pki::SigningKey& controller_key,
                                        store::Webhook webhook, WallTime now) {
    std::vector<SecretText> secrets;
    secrets.push_back(webhook_secret(controller_key, webhook));
    if (now >= webhook.previous_secret_until) return secrets;
    --webhook.secret_number;
    secrets.push_back(webhook_secret(controller_key, webhook));
    return secrets;
}

http::Response list_webhooks(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.webhooks().list(*filter), &wire::WebhookList::webhooks,
                         show);
}

http::Response create_webhook(Context& context, const Call& call, const AdminIdentity& who) {
    const std::string& request_id = call.request.request_id;
    auto body = model::decode<wire::WebhookCreate>(call.request.body);
    if (!body) return error_response(body.error(), request_id);
    if (auto own = check_tenant(who, body->tenant_id); !own)
        return error_response(own.error(), request_id);
    if (auto url = check_url(context.settings, body->url); !url)
        return error_response(url.error(), request_id);
    if (auto events = check_events(body->events); !events)
        return error_response(events.error(), request_id);
    auto made =
        call.store.webhooks().create({body->tenant_id, body->name, body->url, body->events});
    if (!made) return error_response(made.error(), request_id);
    if (!call.validate_only)
        log::info("api.webhook_created", {{"tenant", made->tenant_id}, {"webhook", made->id}});
    return secret_response(context, call, 201, *made);
}

http::Response get_webhook(Context&, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find(call, who), show);
}

http::Response update_webhook(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::WebhookUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    if (body->url)
        if (auto url = check_url(context.settings, *body->url); !url)
            return error_response(url.error(), call.request.request_id);
    if (body->events)
        if (auto events = check_events(*body->events); !events)
            return error_response(events.error(), call.request.request_id);
    auto webhook = find(call, who);
    if (!webhook) return error_response(webhook.error(), call.request.request_id);
    auto changed = call.store.webhooks().change(
        {webhook->tenant_id, webhook->id}, {body->name, body->url, body->events, body->enabled});
    if (changed && !call.validate_only)
        log::info("api.webhook_changed",
                  {{"tenant", changed->tenant_id}, {"webhook", changed->id}});
    return object_response(call, 200, changed, show);
}

http::Response rotate_webhook_secret(Context& context, const Call& call, const AdminIdentity& who) {
    auto webhook = find(call, who);
    if (!webhook) return error_response(webhook.error(), call.request.request_id);
    auto changed = call.store.webhooks().rotate_secret({webhook->tenant_id, webhook->id});
    if (!changed) return error_response(changed.error(), call.request.request_id);
    if (!call.validate_only)
        log::info("api.webhook_secret_rotated",
                  {{"tenant", changed->tenant_id}, {"webhook", changed->id}});
    return secret_response(context, call, 200, *changed);
}

http::Response delete_webhook(Context&, const Call& call, const AdminIdentity& who) {
    auto webhook = find(call, who);
    if (!webhook) return error_response(webhook.error(), call.request.request_id);
    auto gone = call.store.webhooks().remove({webhook->tenant_id, webhook->id});
    if (gone && !call.validate_only)
        log::info("api.webhook_deleted",
                  {{"tenant", webhook->tenant_id}, {"webhook", webhook->id}});
    return gone_response(call, gone);
}

}  // namespace cvlan::api
