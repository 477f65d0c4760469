// SPDX-License-Identifier: Apache-2.0
#pragma once

// The certificate which TLS verified of the other side, as OpenSSL has read it, with the hash of
// its bytes: reading it anew costs more than all else about a request. Copies share it; it does not
// change.

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace cvlan::http {

class PeerCertificate {
public:
    PeerCertificate() = default;                // none
    static PeerCertificate of(const SSL* ssl);  // none where it did not verify
    // Takes it over.
    explicit PeerCertificate(X509* certificate);

    explicit operator bool() const { return kept_ != nullptr; }
    X509* get() const { return kept_ ? kept_->certificate.get() : nullptr; }
    // SHA-256 of the whole of it, 32 bytes; empty where there is none.
    const std::string& fingerprint() const;
    std::string pem() const;  // empty where there is none

private:
    struct Free {
        void operator()(X509* certificate) const { X509_free(certificate); }
    };
    struct Kept {
        std::unique_ptr<X509, Free> certificate;
        std::string fingerprint;
    };
    std::shared_ptr<const Kept> kept_;
};

}  // namespace cvlan::http
