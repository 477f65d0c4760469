// SPDX-License-Identifier: Apache-2.0
#pragma once

// What makes an identity a relay's. The rest is enrolee/enrolment.h.

#include <string>

#include "enrolee/enrolment.h"
#include "model/token_claims.h"

namespace cvlan::relayd {

namespace wire = model::wire;

using enrolee::Identity;
using enrolee::StateDir;

// A fresh identity for the token's tenant, with a key and no certificate.
Result<Identity> new_identity(const model::TokenClaims& claims);
Result<wire::EnrolRequest> enrol_request(const Identity& identity, const std::string& token,
                                         const std::string& name);

}  // namespace cvlan::relayd
