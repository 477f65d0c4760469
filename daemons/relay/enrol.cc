// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/enrol.h"

#include "pki/token.h"

namespace cvlan::relayd {

Result<void> Enrolling::begin(const std::string& token, const std::string& name) {
    auto parsed = pki::parse_token(token);
    if (!parsed) return failed(parsed.error());
    auto fresh = new_identity(parsed->claims);
    if (!fresh) return failed(fresh.error());
    auto known = dir_.load_identity(parsed->claims.tenant_id);
    if (!known && known.error().code != Code::NotFound) return failed(known.error());
    identity_ = known ? std::move(*known) : std::move(*fresh);
    if (auto trusted = trust_token(identity_, parsed->claims); !trusted) return trusted;
    auto request = enrol_request(identity_, token, name);
    if (!request) return failed(request.error());
    if (auto saved = dir_.save_identity(identity_); !saved) return saved;
    controller_ = std::make_unique<enrolee::Controller>(loop_, registration_of(identity_));
    controller_->call(
        {"POST", "/api/v1/enrol", encode(*request)},
        [this](const enrolee::Answer<http::Response>& answer) { done_(take(answer)); });
    return {};
}

Result<std::string> Enrolling::take(const enrolee::Answer<http::Response>& answer) {
    if (!answer) return failed(answer.error().error);
    auto enrolment = model::decode<wire::Enrolment>(answer->body, model::kDocument);
    if (!enrolment) return failed(enrolment.error());
    if (auto accepted = accept(identity_, *enrolment); !accepted) return failed(accepted.error());
    if (auto saved = dir_.save_identity(identity_); !saved) return failed(saved.error());
    return identity_.name();
}

}  // namespace cvlan::relayd
