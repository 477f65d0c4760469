// SPDX-License-Identifier: Apache-2.0
#pragma once

// The job that tells webhooks of events: one event of each at a time, signed, over TLS to an
// address that is checked when it is connected to. What is not taken is tried again, later and
// later.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "daemons/controller/job_runner.h"
#include "http/client.h"
#include "store/webhooks.h"

namespace cvlan::controller {

struct WebhookParts {
    EventLoop& loop;
    const Clock& clock;
    std::string ca_pem;  // whom receivers' certificates come from
    std::function<bool(const Address&)> may_be_fetched;
    std::function<std::vector<SecretText>(const store::Webhook&)> secrets;
};

class WebhookRun final : public JobRun {
public:
    explicit WebhookRun(const WebhookParts& parts) : parts_(parts) {}
    Result<std::optional<std::string>> step(store::Store& store) override;

private:
    struct Open {
        store::Delivery delivery;
        std::unique_ptr<http::Client> client;
        std::optional<Result<http::Response>> answer;
    };
    Result<bool> begin(store::Store& store);
    void send(Open& open);
    Result<void> note(store::Store& store, const Open& open);

    const WebhookParts& parts_;
    std::vector<std::unique_ptr<Open>> open_;
    int told_ = 0;
    int failed_ = 0;
};

// What is sent, and the header that proves it: "t=<unix time>,v1=<hex HMAC-SHA256 of
// "<t>.<body>">", with a v1 for each secret.
std::string webhook_body(const store::Delivery& delivery);
std::string webhook_signature(const std::vector<SecretText>& secrets, WallTime now,
                              const std::string& body);

// Runs when a webhook is due. `parts` outlives it.
JobKind webhook_job(const WebhookParts& parts);

}  // namespace cvlan::controller
