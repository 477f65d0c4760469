// SPDX-License-Identifier: Apache-2.0
#pragma once

// OpenSSL contexts for the server and the client side, and what they say when something is wrong.

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "http/tls.h"

namespace cvlan::http {

struct SslCtxFree {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslCtxPtr = std::unique_ptr<SSL_CTX, SslCtxFree>;
using SslPtr = std::unique_ptr<SSL, SslFree>;

Result<SslCtxPtr> server_context(const TlsServerOptions& options);

struct TlsClientIdentity {
    const TlsTrust& trust;
    const std::string& certificate_pem;
    const SecretText& private_key_pem;
};
Result<SslCtxPtr> client_context(const TlsClientIdentity& identity);
// A connection's state which will accept no other name (or address) than `host`.
Result<SslPtr> client_ssl(SSL_CTX* context, const std::string& host);

// The verified leaf of the other side as PEM, or empty.
std::string peer_certificate_pem(SSL* ssl);

// After the handshake, where the certificates have been checked: what leads from the other side's
// certificate to our CA is freed, some KiB of each connection that is held. Not its own one.
void forget_chain(SSL* ssl);
// Why a handshake failed, in words, from what the verification and `openssl_error` say.
Error handshake_error(SSL* ssl, unsigned long openssl_error);

}  // namespace cvlan::http
