// SPDX-License-Identifier: Apache-2.0
// Tokens, their claims, certificate requests and certificates: what strangers send before they are
// known.

#include <cstdlib>

#include "pki/certificate.h"
#include "pki/csr.h"
#include "pki/token.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan;
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    if (auto token = pki::parse_token(text)) {
        // What was read is written and read again as the same.
        auto again = model::decode_claims(model::encode_claims(token->claims));
        if (!again || again->nonce != token->claims.nonce || again->url != token->claims.url)
            std::abort();
    }
    // Most inputs never get through base64: the claims are tried as they are, too.
    if (auto claims = model::decode_claims(text))
        if (!model::decode_claims(model::encode_claims(*claims))) std::abort();
    (void)pki::Csr::parse(text);
    (void)pki::parse_node_certificate(text, "cvlan.example");
    (void)pki::parse_node_certificate_der({bytes, size}, "cvlan.example");
    return 0;
}
