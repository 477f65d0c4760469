// SPDX-License-Identifier: Apache-2.0
#include "api/token_work.h"

#include "pki/csr.h"
#include "pki/token.h"

namespace cvlan::api {

namespace {

constexpr const char* kNobody = "00000000-0000-0000-0000-000000000000";

// Of no text, and of a form that is calculated with to the end.
Bytes some_signature() {
    Bytes made = random_bytes(64);
    made.back() &= 0x0f;
    return made;
}

store::Joining nobody() {
    model::TokenClaims claims;
    claims.id = claims.tenant_id = claims.network_id = kNobody;
    return {claims, "", 0, {}};
}

}  // namespace

void level_checks(Context& context, const std::string& text, TokenWork& done) {
    if (done.key_reads++ == 0) (void)context.store.token_key_of(kNobody, "");
    if (done.signatures++ == 0)
        (void)context.controller_key.public_key().verify(
            as_bytes(std::string_view(text).substr(0, pki::kMaxTokenBytes)), some_signature());
}

void level_all(Context& context, const std::string& text, const std::string* csr,
               const Transact& transact, TokenWork& done) {
    level_checks(context, text, done);
    if (csr && done.requests++ == 0) (void)pki::Csr::parse(*csr);
    if (done.transactions++ == 0) transact(nobody());
}

}  // namespace cvlan::api
