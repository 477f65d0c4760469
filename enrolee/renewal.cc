// SPDX-License-Identifier: Apache-2.0
#include "enrolee/renewal.h"

#include "enrolee/enrolment.h"
#include "pki/csr.h"

namespace cvlan::enrolee {

namespace {

constexpr std::chrono::minutes kPause{30};

}  // namespace

void Renewal::ask_if_due(Session& session) {
    const BootTime now = clock_.since_boot();
    if (is_asking_ || now < not_before_) return;
    auto times = certificate_times(identity_);
    if (!times || !is_renewal_due(*times, clock_.now())) return;
    // Once in a while at most: a wall clock that is far ahead would make it due for ever.
    not_before_ = now + kPause;
    auto body = request();
    if (!body) return events_.on_failed(body.error());
    is_asking_ = true;
    Controller::Call call{"POST", "/api/v1/node/certificate", std::move(*body)};
    session.call(std::move(call), [this](const Answer<http::Response>& answer) {
        is_asking_ = false;
        if (auto taken = take(answer); !taken) return events_.on_failed(taken.error());
        events_.on_renewed();
    });
}

// The key is on the disk before it is asked for, and the next try is for the same one.
Result<std::string> Renewal::request() {
    auto& next = identity_.kept.next_tls_key;
    if (!next) {
        auto fresh = pki::TlsKey::generate();
        auto pem = fresh ? fresh->to_pem() : failed(fresh.error());
        if (!pem) return failed(pem.error());
        next = pem->reveal();
        if (auto saved = events_.save(); !saved) return failed(saved.error());
    }
    auto key = pki::TlsKey::from_pem(SecretText(*next));
    auto csr = key ? pki::create_csr(*key) : failed(key.error());
    if (!csr) return failed(csr.error());
    return encode(wire::RenewRequest{*csr});
}

Result<void> Renewal::take(const Answer<http::Response>& answer) {
    Identity before;  // wiped, whichever of the two it is in the end
    before.kept = identity_.kept;
    auto renewal = answer ? model::decode<wire::Renewal>(answer->body, model::kDocument)
                          : failed(answer.error().error);
    auto taken = renewal ? accept_renewal(identity_, *renewal) : failed(renewal.error());
    if (taken) taken = events_.save();
    // What is not on the disk is not used: the controller would forget what is there.
    if (!taken) std::swap(identity_.kept, before.kept);
    return taken;
}

}  // namespace cvlan::enrolee
