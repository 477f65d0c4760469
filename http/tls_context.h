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
Result<SslCtxPtr> server_context(const TlsServerNames& names);

class ClientTls {
public:
    explicit ClientTls(SslCtxPtr context) : context_(std::move(context)) {}
    SSL_CTX* context() const { return context_.get(); }

private:
    SslCtxPtr context_;
};
// A connection's state which will accept no other name (or address) than `host`.
Result<SslPtr> client_ssl(SSL_CTX* context, const std::string& host);

// After the handshake, where the certificates have been checked: what leads from the other side's
// certificate to our CA is freed, and the key that was read from that certificate, and the names of
// CAs; some KiB of each connection that is held. The certificate stays, with the key's bytes.
void forget_chain(SSL* ssl);
// Why a handshake failed, in words, from what the verification and `openssl_error` say.
Error handshake_error(SSL* ssl, unsigned long openssl_error);

}  // namespace cvlan::http
