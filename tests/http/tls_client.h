// SPDX-License-Identifier: Apache-2.0
#pragma once

// A TLS client on OpenSSL alone, and the authorities of which both sides have their certificates.

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>

#include "http/tls_context.h"
#include "tests/http/raw_client.h"
#include "tests/support/test_ca.h"

namespace cvlan::http::test {

struct Authorities {
    cvlan::test::TestCa root{"root"};
    cvlan::test::TestCa middle{"middle", root};
    cvlan::test::TestCa stranger{"stranger"};
    cvlan::test::IssuedCert server = middle.issue({.name = "server"});
    cvlan::test::IssuedCert client =
        middle.issue({.name = "client", .san = "", .eku = "clientAuth"});

    TlsServerOptions options(ClientCert ask) const {
        return {server.cert_pem + middle.pem() + root.pem(),
                SecretText(server.key_pem),
                {root.pem(), middle.pem()},
                ask};
    }
};

inline const Authorities& authorities() {
    static const Authorities all;
    return all;
}

// A blocking TLS client that checks nothing and presents what it is told to.
class TlsClient {
public:
    using Setup = std::function<void(SSL_CTX*)>;
    explicit TlsClient(const Endpoint& at, const cvlan::test::IssuedCert& own = {},
                       const Setup& setup = nullptr)
        : raw_(at), context_(SSL_CTX_new(TLS_client_method())) {
        if (!own.cert_pem.empty()) present(own);
        if (setup) setup(context_.get());
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), raw_.fd());
        ERR_clear_error();
        is_up_ = SSL_connect(ssl_.get()) == 1;
    }
    bool is_up() const { return is_up_; }
    SSL* ssl() { return ssl_.get(); }
    // The answer, or empty when there is none; then why() tells.
    std::string ask(std::string_view request) {
        if (!is_up_ || SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size())) <= 0)
            return "";
        std::string all;
        char bytes[16384];
        while (all.find("\r\n\r\n") == std::string::npos || !all.ends_with("]")) {
            const int got = SSL_read(ssl_.get(), bytes, sizeof bytes);
            if (got <= 0) break;
            all.append(bytes, static_cast<size_t>(got));
        }
        return all;
    }
    // The alert that the server sent, or 0.
    int alert() const { return ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET; }

private:
    void present(const cvlan::test::IssuedCert& own) {
        const std::unique_ptr<BIO, decltype(&BIO_free)> cert(
            BIO_new_mem_buf(own.cert_pem.data(), -1), BIO_free);
        X509* leaf = PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr);
        SSL_CTX_use_certificate(context_.get(), leaf);
        X509_free(leaf);
        const std::unique_ptr<BIO, decltype(&BIO_free)> key(BIO_new_mem_buf(own.key_pem.data(), -1),
                                                            BIO_free);
        EVP_PKEY* private_key = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
        SSL_CTX_use_PrivateKey(context_.get(), private_key);
        EVP_PKEY_free(private_key);
    }
    RawClient raw_;
    SslCtxPtr context_;
    SslPtr ssl_;
    bool is_up_ = false;
};

inline std::string peer_name(SSL* ssl) {
    char name[64] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl)), NID_commonName,
                              name, sizeof name);
    return name;
}

}  // namespace cvlan::http::test
