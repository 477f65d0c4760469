// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes one X.509 v3 certificate (RFC 5280) from a description. Only pki includes it.

#include <string>
#include <vector>

#include "base/ip.h"
#include "pki/openssl.h"

namespace cvlan::pki {

struct CertificateSpec {
    EVP_PKEY* subject_key = nullptr;
    Bytes subject_spki{};      // instead of it: that of a Csr, which no encoder has to make anew
    std::string organization;  // empty: none
    std::string common_name;
    std::vector<std::string> uris;
    std::vector<std::string> dns_names;
    std::vector<Address> addresses;
    // As openssl's x509v3_config(5) writes them; constants of ours, never input.
    const char* basic_constraints = nullptr;
    const char* key_usage = nullptr;
    const char* extended_key_usage = nullptr;  // null: none
    WallTime not_before{};
    WallTime not_after{};
};

// Signed by `issuer_key` in the name of `issuer`; null: the certificate signs itself.
Result<EvpPtr<X509>> make_certificate(const CertificateSpec& spec, X509* issuer,
                                      EVP_PKEY* issuer_key);

// The common name of an intermediate with this key, and no other: who has it need not be sent it
// (http/tls_context.cc, leave_out_known).
std::string intermediate_name(EVP_PKEY* key);

}  // namespace cvlan::pki
