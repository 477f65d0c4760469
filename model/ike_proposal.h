// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which proposals a connection may name: strongSwan's words, out of those that our charon and the
// kernel speak and that are still good. Pure.

#include <string_view>

#include "base/result.h"

namespace cvlan::model {

enum class ProposalFor { Ike, Esp };

// "aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048"; of ESP without a PRF, and with a group
// or none. The error names no field.
Result<void> check_proposal(ProposalFor use, std::string_view text);

// The first word that FIPS 140-3 does not approve, or that nodes do not use by its profile; empty:
// all are.
std::string_view unapproved_word(std::string_view text);

// What nodes use with each other, and connections that name none.
std::string_view default_proposal(ProposalFor use, bool approved_only);

}  // namespace cvlan::model
