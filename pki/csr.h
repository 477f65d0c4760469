// SPDX-License-Identifier: Apache-2.0
#pragma once

// Certificate requests (PKCS 10, RFC 2986). A node proves with one that it holds its TLS key; all
// that stands in its certificate is the controller's: a request that asks for extensions is
// refused. Its subject's CN ties it to one enrolment (enrolment_binding in pki/token.h); nothing of
// the subject comes into the certificate.

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
    // The SubjectPublicKeyInfo (DER): an uncompressed point of P-256.
    const Bytes& spki() const { return spki_; }
    // Of the subject, as its bytes are; empty where there is not exactly one.
    const std::string& common_name() const { return common_name_; }

private:
    Csr() = default;
    Bytes spki_;
    std::string key_hash_;
    std::string common_name_;
};

// The request for `key`, PEM, with a subject of this CN, or an empty one.
Result<std::string> create_csr(const TlsKey& key, const std::string& common_name = {});

}  // namespace cvlan::pki
