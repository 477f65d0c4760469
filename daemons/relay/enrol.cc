// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/enrol.h"

#include "http/origin.h"

namespace cvlan::relayd {

Result<void> Enrolling::begin(const std::string& token, const std::string& name) {
    auto parsed = pki::parse_token(token);
    if (!parsed) return failed(parsed.error());
    auto fresh = new_identity(parsed->claims);
    if (!fresh) return failed(fresh.error());
    auto known = dir_.load_identity(parsed->claims.tenant_id);
    if (!known && known.error().code != Code::NotFound) return failed(known.error());
    identity_ = known ? std::move(*known) : std::move(*fresh);
    identity_.kept.registration = {parsed->claims.url};
    identity_.kept.ca_spki = parsed->claims.ca_spki;
    auto request = enrol_request(identity_, token, name);
    if (!request) return failed(request.error());
    if (auto saved = dir_.save_identity(identity_); !saved) return saved;

    auto origin = http::parse_origin(parsed->claims.url);
    if (!origin) return failed(origin.error());
    http::ClientOptions options;
    options.host = origin->host;
    options.port = origin->port;
    options.trust.ca_spki_sha256 = parsed->claims.ca_spki;
    auto client = http::Client::open(loop_, std::move(options));
    if (!client) return failed(client.error());
    client_ = std::move(*client);
    client_->request(
        {"POST", "/api/v1/enrol", {{"Content-Type", "application/json"}}, encode(*request)},
        [this](Result<http::Response> answer) { done_(take(std::move(answer))); });
    return {};
}

Result<std::string> Enrolling::take(Result<http::Response> answer) {
    if (!answer) return failed(answer.error().while_doing("controller"));
    if (answer->status >= 400) {
        auto problem = model::decode<wire::Problem>(answer->body, model::kDocument);
        if (!problem)
            return fail(code_of_http(answer->status), "the controller answered {}", answer->status);
        return fail(code_of_http(answer->status), "{}",
                    printable(problem->detail.value_or(problem->title)));
    }
    auto enrolment = model::decode<wire::Enrolment>(answer->body, model::kDocument);
    if (!enrolment) return failed(enrolment.error());
    if (auto accepted = accept(identity_, *enrolment); !accepted) return failed(accepted.error());
    if (auto saved = dir_.save_identity(identity_); !saved) return failed(saved.error());
    return identity_.kept.name.value_or("");
}

}  // namespace cvlan::relayd
