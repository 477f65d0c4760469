// SPDX-License-Identifier: Apache-2.0
#include "http/peer_certificate.h"

#include <openssl/pem.h>

namespace cvlan::http {

PeerCertificate PeerCertificate::of(const SSL* ssl) {
    if (SSL_get_verify_result(ssl) != X509_V_OK) return {};
    X509* leaf = SSL_get1_peer_certificate(ssl);
    return leaf ? PeerCertificate(leaf) : PeerCertificate();
}

std::string PeerCertificate::pem() const {
    if (!certificate_) return {};
    BIO* bio = BIO_new(BIO_s_mem());
    std::string text;
    if (bio && PEM_write_bio_X509(bio, certificate_.get()) == 1) {
        char* begin = nullptr;
        const long size = BIO_get_mem_data(bio, &begin);
        text.assign(begin, static_cast<size_t>(size));
    }
    BIO_free(bio);
    return text;
}

}  // namespace cvlan::http
