// SPDX-License-Identifier: Apache-2.0
#pragma once

// Becoming a node: from a registration token, by itself enough to find and to believe the right
// controller, to an identity with a certificate. The keys are on disk before they are sent, and a
// second attempt uses the same ones, so that a crash in between leaves nothing behind.

#include <functional>
#include <memory>
#include <string>

#include "daemons/agent/controller.h"
#include "daemons/agent/identity.h"
#include "model/wire.h"
#include "pki/token.h"

namespace cvlan::agent {

// What goes along with the token.
struct Introduction {
    std::string token;
    std::optional<std::string> name;
    std::vector<std::string> endpoints;
    model::wire::Inventory inventory;
};

// The identity for a token's tenant gets keys for its network, and what the token says of the
// controller unless it only joins a further network by the certificate it has.
Result<void> prepare(Identity& identity, const model::TokenClaims& claims, bool is_join);

Result<model::wire::EnrolRequest> enrol_request(const Identity& identity,
                                                const std::string& network_id,
                                                const Introduction& introduction);
Result<model::wire::JoinRequest> join_request(const Identity& identity,
                                              const std::string& network_id,
                                              const Introduction& introduction);

// Takes the controller's answer into the identity, all or nothing. Denied if the answer is not for
// us: another tenant, another key in the certificate, a root that is not the token's.
Result<void> accept(Identity& identity, const model::wire::Enrolment& answer);
Result<void> accept_renewal(Identity& identity, const model::wire::Renewal& answer);

// For the registration: no certificate yet, trust by the token's hash.
std::unique_ptr<Controller> registration_of(EventLoop& loop, const Identity& identity,
                                            const std::string& proxy);
// For the session: our certificate, trust by the bundle.
Credentials session_credentials(const Identity& identity);

struct CertificateTimes {
    WallTime not_before{};
    WallTime not_after{};
};
Result<CertificateTimes> certificate_times(const Identity& identity);
// Two thirds of its life are over.
bool is_renewal_due(const CertificateTimes& times, WallTime now);

}  // namespace cvlan::agent
