// SPDX-License-Identifier: Apache-2.0
#include "enrolee/ipsec_secrets.h"

#include <openssl/crypto.h>

#include "model/connection.h"
#include "model/wire.h"

namespace cvlan::enrolee {

namespace wire = model::wire;

Result<std::vector<IpsecSecret>> read_ipsec_secrets(std::string& body) {
    auto told = model::decode<wire::IpsecSecrets>(body, model::kDocument);
    OPENSSL_cleanse(body.data(), body.size());
    if (!told) return failed(told.error().while_doing("ipsec secrets"));
    std::vector<IpsecSecret> secrets;
    for (wire::IpsecSecret& one : told->secrets) {
        const bool is_one = one.secret.size() >= model::kShortestSecret &&
                            one.secret.size() <= model::kLongestSecret;
        if (is_one)
            secrets.push_back({one.connection_id, one.secret_revision,
                               SecretText(std::string(one.secret.begin(), one.secret.end()))});
        OPENSSL_cleanse(one.secret.data(), one.secret.size());
    }
    return secrets;
}

void fetch_ipsec_secrets(const CallController& call, SecretsDone done) {
    call({.target = "/api/v1/node/ipsec-secrets"},
         [done = std::move(done)](Answer<http::Response> answer) {
             if (!answer) return done(tl::unexpected(answer.error()));
             auto secrets = read_ipsec_secrets(answer->body);
             if (!secrets) return done(tl::unexpected(Refusal{secrets.error(), answer->status}));
             done(std::move(*secrets));
         });
}

}  // namespace cvlan::enrolee
