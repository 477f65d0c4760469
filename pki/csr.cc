// SPDX-License-Identifier: Apache-2.0
#include "pki/csr.h"

#include <openssl/pem.h>

#include <algorithm>
#include <array>

#include "pki/openssl.h"

namespace cvlan::pki {

namespace {

// RFC 5480: id-ecPublicKey, prime256v1, and the first byte of an uncompressed point (SEC 1, 2.3.3).
constexpr std::array<uint8_t, 27> kSpki{0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                        0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE REQUEST-----";

Result<void> check_key(EVP_PKEY* key, const Bytes& spki) {
    if (!key || group_name(key) != "prime256v1")
        return fail(Code::Invalid, "csr: the key is not of P-256");
    EvpPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key, nullptr));
    // Of a curve with the cofactor 1, a point other than infinity needs no check of its order.
    if (!context || EVP_PKEY_public_check_quick(context.get()) != 1)
        return openssl_error(Code::Invalid, "csr: the point is not on the curve");
    // One key, one hash: a barred key must not come back as the same point in another form.
    if (spki.size() != kSpki.size() + 64 || !std::equal(kSpki.begin(), kSpki.end(), spki.begin()))
        return fail(Code::Invalid, "csr: the key must be an uncompressed point of a named curve");
    return {};
}

std::string common_name_of(const X509_NAME* subject) {
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
    const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
            static_cast<size_t>(ASN1_STRING_length(text))};
}

bool add_common_name(X509_NAME* subject, const std::string& common_name) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(common_name.data());
    return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, bytes,
                                      static_cast<int>(common_name.size()), -1, 0) == 1;
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
    EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
    csr.spki_ = spki_der(X509_REQ_get_X509_PUBKEY(request.get()));
    if (auto checked = check_key(key, csr.spki_); !checked) {
        clear_openssl_errors();
        return failed(checked.error());
    }
    if (X509_REQ_verify(request.get(), key) != 1)
        return openssl_error(Code::Invalid, "csr: not signed by its own key");
    if (X509_REQ_get_attr_count(request.get()) > 0)
        return fail(Code::Invalid, "csr: extensions and attributes are set by the controller only");
    csr.key_hash_ = hex(sha256(csr.spki_));
    csr.common_name_ = common_name_of(X509_REQ_get_subject_name(request.get()));
    return csr;
}

Result<std::string> create_csr(const TlsKey& key, const std::string& common_name) {
    EvpPtr<X509_REQ> request(X509_REQ_new());
    BioPtr bio(BIO_new(BIO_s_mem()));
    const bool done = request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                      X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
                      (common_name.empty() ||
                       add_common_name(X509_REQ_get_subject_name(request.get()), common_name)) &&
                      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0 &&
                      PEM_write_bio_X509_REQ(bio.get(), request.get()) == 1;
    if (!done) return openssl_error(Code::Internal, "make a certificate request");
    return bio_text(bio.get());
}

}  // namespace cvlan::pki
