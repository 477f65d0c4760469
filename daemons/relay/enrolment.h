// SPDX-License-Identifier: Apache-2.0
#pragma once

// Becoming a relay of a tenant, and staying it: what is sent with a token of role RELAY, and what
// of the controller's answers is believed. Pure but for the keys that are made.

#include <string>

#include "daemons/relay/identity.h"
#include "model/token_claims.h"

namespace cvlan::relayd {

// A fresh identity for the token's tenant, with a key and no certificate.
Result<Identity> new_identity(const model::TokenClaims& claims);
// The request's proof is for this token alone (ADR 3): there is no WireGuard key.
Result<wire::EnrolRequest> enrol_request(const Identity& identity, const std::string& token,
                                         const std::string& name);

// Takes the controller's answer into the identity, all or nothing. Denied if it is not for us:
// another tenant, another key in the certificate, a root that is not the token's.
Result<void> accept(Identity& identity, const wire::Enrolment& answer);
// Of the key in next_tls_key, which becomes the identity's.
Result<void> accept_renewal(Identity& identity, const wire::Renewal& answer);

// Two thirds of the certificate's life are over.
bool is_renewal_due(const Identity& identity, WallTime now);

}  // namespace cvlan::relayd
