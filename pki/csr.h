// SPDX-License-Identifier: Apache-2.0
#pragma once

// Certificate requests (PKCS 10, RFC 2986). A node proves with one that it holds its TLS key; all
// that stands in its certificate is the controller's: a request that asks for extensions is
// refused, its subject is ignored.

#include <openssl/x509.h>

#include <string>
#include <string_view>

#include "pki/keys.h"

namespace cvlan::pki {

inline constexpr size_t kMaxCsrBytes = 16384;

// A request whose signature and key have been checked.
class Csr {
public:
    // One PEM block of P-256 with a good signature by the very key; everything else is
    // Code::Invalid.
    static Result<Csr> parse(std::string_view pem);

    const std::string& key_hash() const { return key_hash_; }
    EVP_PKEY* key() const { return key_.get(); }

private:
    Csr() = default;
    EvpPtr<EVP_PKEY> key_;
    std::string key_hash_;
};

// The request for `key`, PEM, with an empty subject.
Result<std::string> create_csr(const TlsKey& key);

}  // namespace cvlan::pki
