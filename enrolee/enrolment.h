// SPDX-License-Identifier: Apache-2.0
#pragma once

// Becoming a node of a tenant, and staying it: from a registration token, by itself enough to find
// and to believe the right controller, to an identity with a certificate. The keys are on disk
// before they are sent, and a second attempt uses the same ones, so that a crash in between leaves
// nothing behind.

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "enrolee/controller.h"
#include "enrolee/identity.h"
#include "model/token_claims.h"
#include "model/wire.h"

namespace cvlan::enrolee {

namespace wire = model::wire;

// The identity asks, and believes, the controller that this token names.
Result<void> trust_token(Identity& identity, const model::TokenClaims& claims);

// With a proof that is for this token and this WireGuard key alone (ADR 3); of a program that has
// none, the key is empty.
Result<wire::EnrolRequest> enrol_request(const Identity& identity, const std::string& token,
                                         ByteView wireguard_public_key,
                                         std::vector<std::string> capabilities);

// Takes the controller's answer into the identity, all or nothing. Denied if the answer is not for
// us: another tenant, another key in the certificate, a root that is not the token's.
Result<void> accept(Identity& identity, const wire::Enrolment& answer);
// Of the key in next_tls_key, which becomes the identity's.
Result<void> accept_renewal(Identity& identity, const wire::Renewal& answer);

// For the registration: no certificate yet, trust by the token's hash.
ControllerOptions registration_of(const Identity& identity);
// For the session: our certificate, trust by the bundle.
Credentials session_credentials(const Identity& identity);

struct CertificateTimes {
    WallTime not_before{};
    WallTime not_after{};
};
Result<CertificateTimes> certificate_times(const Identity& identity);
// Two thirds of its life are over.
bool is_renewal_due(const CertificateTimes& times, WallTime now);

}  // namespace cvlan::enrolee
