// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/webhook_run.h"

#include <algorithm>

#include "base/hmac.h"
#include "base/log.h"
#include "base/version.h"
#include "http/https_url.h"
#include "model/wire.h"
#include "store/event_names.h"

namespace cvlan::controller {

using namespace std::chrono_literals;

namespace {

constexpr int kAtOnce = 16;
constexpr int kMostOfARun = 1000;
constexpr auto kPatience = 10s;
constexpr std::chrono::milliseconds kFirstPause = 5s;
constexpr std::chrono::milliseconds kLongestPause = 1h;
constexpr int kMostAttempts = 32;  // about a day
constexpr size_t kMostOfAnAnswer = 64 * 1024;

std::optional<WallTime> next_try(int attempts, WallTime now) {
    if (attempts + 1 >= kMostAttempts) return std::nullopt;
    return now + std::min(kFirstPause * (1 << std::min(attempts, 16)), kLongestPause);
}

std::string result_of(const Result<http::Response>& answer) {
    if (!answer) return printable(answer.error().message);
    if (answer->status >= 300 && answer->status < 400)
        return fmt::format("{}: a redirect is not followed", answer->status);
    return fmt::format("{}", answer->status);
}

}  // namespace

std::string webhook_body(const store::Delivery& delivery) {
    const store::Event& event = delivery.event;
    const store::EventName name = store::name_of(event.kind);
    model::wire::WebhookEvent body;
    body.webhook_id = delivery.webhook.id;
    body.tenant_id = event.tenant_id;
    body.revision = event.revision;
    body.event = name.name;
    body.object_kind = name.object_kind;
    body.object_id = event.object_id;
    body.at = event.at;
    return encode(body);
}

std::string webhook_signature(const std::vector<SecretText>& secrets, WallTime now,
                              const std::string& body) {
    const int64_t seconds = unix_ms(now) / 1000;
    const std::string signed_text = fmt::format("{}.{}", seconds, body);
    std::string header = fmt::format("t={}", seconds);
    for (const SecretText& secret : secrets)
        header += ",v1=" + hex(hmac_sha256(as_bytes(secret.reveal()), as_bytes(signed_text)));
    return header;
}

Result<bool> WebhookRun::begin(store::Store& store) {
    if (told_ + failed_ >= kMostOfARun) return false;
    auto due = store.webhooks().due(kAtOnce);
    if (!due) return failed(due.error());
    for (store::Delivery& delivery : *due) {
        open_.push_back(std::make_unique<Open>(Open{std::move(delivery), nullptr, std::nullopt}));
        send(*open_.back());
    }
    return !open_.empty();
}

void WebhookRun::send(Open& open) {
    const auto url = http::HttpsUrl::parse(open.delivery.webhook.url);
    if (!url) {
        open.answer = failed(url.error());
        return;
    }
    http::ClientOptions options;
    options.host = url->host;
    options.port = url->port;
    options.trust.ca_pem = parts_.ca_pem;
    options.connect_timeout = kPatience;
    options.body_bytes = kMostOfAnAnswer;
    options.may_connect = parts_.may_be_fetched;
    auto client = http::Client::open(parts_.loop, std::move(options));
    if (!client) {
        open.answer = failed(client.error());
        return;
    }
    open.client = std::move(*client);
    http::ClientRequest request;
    request.method = "POST";
    request.target = url->target;
    request.body = webhook_body(open.delivery);
    request.timeout = kPatience;
    request.headers = {{"Content-Type", "application/json"},
                       {"User-Agent", fmt::format("cvlan-controller/{}", kVersion)},
                       {"CVLAN-Signature", webhook_signature(parts_.secrets(open.delivery.webhook),
                                                             parts_.clock.now(), request.body)}};
    open.client->request(std::move(request), [&open](Result<http::Response> answer) {
        open.answer = std::move(answer);
    });
}

Result<void> WebhookRun::note(store::Store& store, const Open& open) {
    const auto& answer = *open.answer;
    const std::string result = result_of(answer);
    if (answer && answer->status >= 200 && answer->status < 300) {
        ++told_;
        return store.webhooks().delivered(open.delivery, result);
    }
    ++failed_;
    const auto next = next_try(open.delivery.webhook.attempts, parts_.clock.now());
    log::warn("webhook.not_delivered", {{"tenant", open.delivery.webhook.tenant_id},
                                        {"webhook", open.delivery.webhook.id},
                                        {"attempt", open.delivery.webhook.attempts + 1},
                                        {"given_up", !next.has_value()},
                                        {"reason", result}});
    return store.webhooks().not_delivered(open.delivery, result, next);
}

// What has been answered is written; when all is, the next events of those that took theirs follow.
Result<std::optional<std::string>> WebhookRun::step(store::Store& store) {
    for (const auto& open : open_) {
        if (!open->answer) continue;
        if (auto noted = note(store, *open); !noted) return failed(noted.error());
    }
    std::erase_if(open_, [](const auto& open) { return open->answer.has_value(); });
    if (!open_.empty()) return std::nullopt;
    auto has_begun = begin(store);
    if (!has_begun) return failed(has_begun.error());
    if (*has_begun) return std::nullopt;
    return std::optional(fmt::format("{} delivered, {} not", told_, failed_));
}

JobKind webhook_job(const WebhookParts& parts) {
    return {"webhooks", 0ms, [&parts] { return std::make_unique<WebhookRun>(parts); },
            [](store::Store& store) { return store.webhooks().is_any_due().value_or(false); }};
}

}  // namespace cvlan::controller
