// SPDX-License-Identifier: Apache-2.0
#include "pki/csr.h"

#include <openssl/pem.h>

#include "pki/openssl.h"

namespace cvlan::pki {

namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE REQUEST-----";

Result<void> check_key(EVP_PKEY* key) {
    if (!key || group_name(key) != "prime256v1")
        return fail(Code::Invalid, "csr: the key is not of P-256");
    EvpPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key, nullptr));
    if (!context || EVP_PKEY_public_check(context.get()) != 1)
        return openssl_error(Code::Invalid, "csr: the point is not on the curve");
    return {};
}

}  // namespace

Result<Csr> Csr::parse(std::string_view pem) {
    if (pem.size() > kMaxCsrBytes) return fail(Code::Invalid, "csr: larger than 16 KiB");
    // PEM readers skip what they do not know; one block and nothing before it leaves no room for
    // that.
    if (!pem.starts_with(kBegin) || pem.find("-----BEGIN", 1) != std::string_view::npos)
        return fail(Code::Invalid, "csr: must be one CERTIFICATE REQUEST in PEM");
    BioPtr bio = read_bio(pem);
    EvpPtr<X509_REQ> request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
    if (!request) return openssl_error(Code::Invalid, "csr: unreadable");

    Csr csr;
    csr.key_.reset(X509_REQ_get_pubkey(request.get()));
    if (auto checked = check_key(csr.key_.get()); !checked) {
        clear_openssl_errors();
        return failed(checked.error());
    }
    if (X509_REQ_verify(request.get(), csr.key_.get()) != 1)
        return openssl_error(Code::Invalid, "csr: not signed by its own key");
    if (X509_REQ_get_attr_count(request.get()) > 0)
        return fail(Code::Invalid, "csr: extensions and attributes are set by the controller only");
    csr.key_hash_ = pki::key_hash(csr.key_.get());
    return csr;
}

Result<std::string> create_csr(const TlsKey& key) {
    EvpPtr<X509_REQ> request(X509_REQ_new());
    BioPtr bio(BIO_new(BIO_s_mem()));
    const bool done = request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                      X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
                      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0 &&
                      PEM_write_bio_X509_REQ(bio.get(), request.get()) == 1;
    if (!done) return openssl_error(Code::Internal, "make a certificate request");
    return bio_text(bio.get());
}

}  // namespace cvlan::pki
