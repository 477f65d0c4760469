// SPDX-License-Identifier: Apache-2.0
#include "api/webhooks.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"
#include "base/public_address.h"
#include "http/https_url.h"
#include "store/event_names.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

constexpr size_t kMostEvents = 100;

wire::Webhook to_wire(const store::Webhook& webhook) {
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

Result<store::Key> key_of(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    auto webhook = context.store.webhooks().webhook(*scope, call.id);
    if (!webhook) return failed(webhook.error());
    if (auto good = check_no_match(call.request); !good) return failed(good.error());
    return store::Key{webhook->tenant_id, webhook->id};
}

// With what signs, which is shown this once.
http::Response created_response(int status, const Context& context, const store::Webhook& webhook) {
    wire::WebhookCreated answer;
    answer.webhook = to_wire(webhook);
    answer.secret = webhook_secret(context.controller_key, webhook).reveal();
    auto response = json_response(status, answer);
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

http::Response list_webhooks(Context& context, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    auto page = context.store.webhooks().list(*filter);
    if (!page) return error_response(page.error(), call.request.request_id);
    wire::WebhookList list;
    for (const store::Webhook& webhook : page->items) list.webhooks.push_back(to_wire(webhook));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
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
    log::info("api.webhook_created", {{"tenant", made->tenant_id}, {"webhook", made->id}});
    return created_response(201, context, *made);
}

http::Response get_webhook(Context& context, const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return error_response(scope.error(), call.request.request_id);
    auto webhook = context.store.webhooks().webhook(*scope, call.id);
    if (!webhook) return error_response(webhook.error(), call.request.request_id);
    return json_response(200, to_wire(*webhook));
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
    auto key = key_of(context, call, who);
    if (!key) return error_response(key.error(), call.request.request_id);
    auto changed =
        call.store.webhooks().change(*key, {body->name, body->url, body->events, body->enabled});
    if (!changed) return error_response(changed.error(), call.request.request_id);
    log::info("api.webhook_changed", {{"tenant", changed->tenant_id}, {"webhook", changed->id}});
    return json_response(200, to_wire(*changed));
}

http::Response rotate_webhook_secret(Context& context, const Call& call, const AdminIdentity& who) {
    auto key = key_of(context, call, who);
    if (!key) return error_response(key.error(), call.request.request_id);
    auto changed = call.store.webhooks().rotate_secret(*key);
    if (!changed) return error_response(changed.error(), call.request.request_id);
    log::info("api.webhook_secret_rotated",
              {{"tenant", changed->tenant_id}, {"webhook", changed->id}});
    return created_response(200, context, *changed);
}

http::Response delete_webhook(Context& context, const Call& call, const AdminIdentity& who) {
    auto key = key_of(context, call, who);
    if (!key) return error_response(key.error(), call.request.request_id);
    auto gone = call.store.webhooks().remove(*key);
    if (!gone) return error_response(gone.error(), call.request.request_id);
    log::info("api.webhook_deleted", {{"tenant", key->tenant_id}, {"webhook", key->id}});
    return no_content();
}

}  // namespace cvlan::api
