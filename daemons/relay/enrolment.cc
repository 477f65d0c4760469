// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/enrolment.h"

#include "base/version.h"

namespace cvlan::relayd {

Result<Identity> new_identity(const model::TokenClaims& claims) {
    if (claims.role != model::TokenRole::Relay)
        return fail(Code::Invalid, "the token is not of role RELAY");
    auto identity = enrolee::new_identity(claims.tenant_id);
    if (!identity) return failed(identity.error().while_doing("token"));
    if (auto trusted = enrolee::trust_token(*identity, claims); !trusted)
        return failed(trusted.error());
    return identity;
}

Result<wire::EnrolRequest> enrol_request(const Identity& identity, const std::string& token,
                                         const std::string& name) {
    auto request = enrolee::enrol_request(identity, token, {}, {"relay"});
    if (!request) return failed(request.error());
    if (!name.empty()) request->name = name;
    request->inventory.emplace().agent_version = std::string(kVersion);
    return request;
}

}  // namespace cvlan::relayd
