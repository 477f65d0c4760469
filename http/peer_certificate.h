// SPDX-License-Identifier: Apache-2.0
#pragma once

// The certificate which TLS verified of the other side, as OpenSSL has read it: reading it anew
// costs more than all else about a request. Copies share it; it does not change.

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace cvlan::http {

class PeerCertificate {
public:
    PeerCertificate() = default;                // none
    static PeerCertificate of(const SSL* ssl);  // none where it did not verify
    // Takes it over.
    explicit PeerCertificate(X509* certificate) : certificate_(certificate, X509_free) {}

    explicit operator bool() const { return certificate_ != nullptr; }
    X509* get() const { return certificate_.get(); }
    std::string pem() const;  // empty where there is none

private:
    std::shared_ptr<X509> certificate_;
};

}  // namespace cvlan::http
