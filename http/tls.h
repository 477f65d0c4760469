// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a TLS side is configured with. TLS 1.3 alone: no renegotiation, no 0-RTT, no compression.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/secret.h"

namespace cvlan::http {

enum class ClientCert {
    None,      // not asked for
    Optional,  // asked for; one that does not verify fails the handshake, none is fine
    Required,  // none fails the handshake too
};

struct TlsServerOptions {
    std::string
        certificate_chain_pem;  // the leaf first, then all that a client needs, the root included
    SecretText private_key_pem{};
    // Whose client certificates count; each PEM text may hold several. A certificate must be in
    // time, chain up to one of these and carry the EKU clientAuth: else alert, and no handler runs.
    std::vector<std::string> client_ca_pem{};
    ClientCert client_cert = ClientCert::None;
    // Of intermediates under those; a client need not send them along.
    std::string client_intermediate_pem{};
};

// Several identities on one port, each for clients that ask for its name (SNI, RFC 6066 section 3):
// these are verified by its CAs and no others'. Who asks for another name, or none, gets the alert
// unrecognized_name. All have the same `client_cert`.
using TlsServerNames = std::map<std::string, TlsServerOptions>;

// Whom a client believes. Exactly one of the two is set; the host name must match in either case.
struct TlsTrust {
    std::string ca_pem{};  // a bundle
    // SHA-256 of the SubjectPublicKeyInfo (DER) of a CA which the server itself presents: the chain
    // must verify up to that certificate. So a token alone tells whom to trust.
    Bytes ca_spki_sha256{};
};

// What a client shows and whom it believes, read once. OpenSSL takes milliseconds to read a key and
// certificates: clients that share one, and connections that follow each other, do not.
class ClientTls;
struct TlsClientIdentity {
    TlsTrust trust{};
    std::string certificate_pem{};  // our own, with intermediates; empty: none
    SecretText private_key_pem{};
};
Result<std::shared_ptr<const ClientTls>> client_tls(const TlsClientIdentity& identity);

// The hash TlsTrust::ca_spki_sha256 wants, of the first certificate in `pem`.
Result<Bytes> spki_sha256(std::string_view pem);

}  // namespace cvlan::http
