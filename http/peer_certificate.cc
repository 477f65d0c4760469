// SPDX-License-Identifier: Apache-2.0
#include "http/peer_certificate.h"

#include <openssl/pem.h>

namespace cvlan::http {

PeerCertificate::PeerCertificate(X509* certificate) {
    Kept kept{std::unique_ptr<X509, Free>(certificate), std::string(32, '\0')};
    auto* hash = reinterpret_cast<unsigned char*>(kept.fingerprint.data());
    // Without memory for it there is no certificate.
    if (X509_digest(certificate, EVP_sha256(), hash, nullptr) != 1) return;
    kept_ = std::make_shared<const Kept>(std::move(kept));
}

const std::string& PeerCertificate::fingerprint() const {
    static const std::string none;
    return kept_ ? kept_->fingerprint : none;
}

PeerCertificate PeerCertificate::of(const SSL* ssl) {
    if (SSL_get_verify_result(ssl) != X509_V_OK) return {};
    X509* leaf = SSL_get1_peer_certificate(ssl);
    return leaf ? PeerCertificate(leaf) : PeerCertificate();
}

std::string PeerCertificate::pem() const {
    if (!kept_) return {};
    BIO* bio = BIO_new(BIO_s_mem());
    std::string text;
    if (bio && PEM_write_bio_X509(bio, get()) == 1) {
        char* begin = nullptr;
        const long size = BIO_get_mem_data(bio, &begin);
        text.assign(begin, static_cast<size_t>(size));
    }
    BIO_free(bio);
    return text;
}

}  // namespace cvlan::http
