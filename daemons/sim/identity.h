// SPDX-License-Identifier: Apache-2.0
#pragma once

// A simulated node's identity: what an agent keeps of an enrolment, without the tunnel's key. The
// WireGuard key it tells is random: nobody has its private half, for there is no tunnel.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "http/tls.h"
#include "model/state.h"
#include "model/token_claims.h"
#include "model/wire.h"
#include "pki/keys.h"

namespace cvlan::sim {

using Identity = model::state::IdentityState;

struct Token {
    std::string text;
    model::TokenClaims claims;
    std::string prefix = "sim";                    // of the names of nodes that come in with it
    std::shared_ptr<const http::ClientTls> tls{};  // believes the CA that it pins
    static Result<Token> read(const std::string& path);
};

// An enrolment under way: its body is made once and holds for repeats.
struct Application {
    SecretText tls_key;
    std::string body;
    static Result<Application> make(const Token& token, const std::string& name);
};

Result<Identity> accept(const Token& token, const Application& application,
                        const model::wire::Enrolment& answer);

// One JSON document a line. The file holds private keys: 0600, and refused where others can read
// it.
Result<std::vector<Identity>> load_identities(const std::string& path);
Result<void> save_identities(const std::string& path, const std::vector<const Identity*>& all);

}  // namespace cvlan::sim
