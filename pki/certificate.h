// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a certificate says. A node's identity is its one SPIFFE URI, nothing else: not the subject,
// not the DNS name. Whether the chain is good was TLS's work before; verify_chain does it
// elsewhere.

#include <openssl/x509.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace cvlan::pki {

struct NodeCertificate {
    std::string tenant_id;
    std::string node_id;
    std::string serial;    // hex, lower case
    std::string key_hash;  // hex SHA-256 of the SubjectPublicKeyInfo
    WallTime not_before{};
    WallTime not_after{};
};

// The first certificate of `pem`, which may be a chain. Code::Denied where the URI is absent,
// double, of another trust domain or not of a node.
Result<NodeCertificate> parse_node_certificate(std::string_view pem, std::string_view trust_domain);
Result<NodeCertificate> parse_node_certificate(X509* certificate, std::string_view trust_domain);
Result<NodeCertificate> parse_node_certificate_der(ByteView der, std::string_view trust_domain);

// SHA-256 of the SubjectPublicKeyInfo of the first certificate: 32 bytes.
Result<Bytes> spki_sha256(std::string_view pem);
Result<Bytes> spki_sha256_der(ByteView der);

// Each certificate of a chain on its own, at most 10.
Result<std::vector<std::string>> split_chain(std::string_view pem);

// What TLS asks of whom it verifies: all certificates of the chain must allow it.
enum class Purpose { Any, TlsClient, TlsServer };

// The first certificate of `chain` leads over the rest of it to one of `roots` (PEM), all in force
// at `now`.
Result<void> verify_chain(std::string_view chain, const std::vector<std::string>& roots,
                          WallTime now, Purpose purpose = Purpose::Any);

}  // namespace cvlan::pki
