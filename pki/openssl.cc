// SPDX-License-Identifier: Apache-2.0
#include "pki/openssl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>

namespace cvlan::pki {

namespace {

int no_passphrase(char*, int, int, void*) { return -1; }

Result<WallTime> wall_time(const ASN1_TIME* time) {
    std::tm parts{};
    if (!time || ASN1_TIME_to_tm(time, &parts) != 1)
        return openssl_error(Code::Malformed, "certificate: a bad time");
    return from_unix_ms(static_cast<int64_t>(timegm(&parts)) * 1000);
}

}  // namespace

BioPtr read_bio(std::string_view text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

BioPtr secret_bio() { return BioPtr(BIO_new(BIO_s_secmem())); }

std::string bio_text(BIO* bio) {
    char* begin = nullptr;
    const long size = BIO_get_mem_data(bio, &begin);
    return {begin, static_cast<size_t>(size)};
}

void clear_openssl_errors() { ERR_clear_error(); }

tl::unexpected<Error> openssl_error(Code code, std::string_view doing) {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return fail(code, "{}{}{}", doing, reason ? ": " : "", reason ? reason : "");
}

Bytes spki_der(EVP_PKEY* key) {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key, &der);
    if (size <= 0) return {};
    Bytes bytes(der, der + size);
    OPENSSL_free(der);
    return bytes;
}

Bytes spki_der(const X509_PUBKEY* key) {
    unsigned char* der = nullptr;
    const int size = i2d_X509_PUBKEY(key, &der);
    if (size <= 0) return {};
    Bytes bytes(der, der + size);
    OPENSSL_free(der);
    return bytes;
}

std::string group_name(EVP_PKEY* key) {
    if (EVP_PKEY_get_id(key) != EVP_PKEY_EC) return {};
    char name[64] = {};
    size_t size = 0;
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, &size) !=
        1) {
        ERR_clear_error();
        return {};
    }
    return {name, size};
}

Result<EvpPtr<X509>> read_certificate(std::string_view pem) {
    BioPtr bio = read_bio(pem);
    EvpPtr<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!certificate) return openssl_error(Code::Malformed, "no certificate in PEM");
    return certificate;
}

Result<EvpPtr<X509>> read_certificate_der(ByteView der) {
    const unsigned char* at = der.data();
    EvpPtr<X509> certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (!certificate) return openssl_error(Code::Malformed, "no certificate in DER");
    if (at != der.data() + der.size()) return fail(Code::Malformed, "bytes after the certificate");
    return certificate;
}

Result<std::string> certificate_pem(X509* certificate) {
    BioPtr bio(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_X509(bio.get(), certificate) != 1)
        return openssl_error(Code::Internal, "write a certificate");
    return bio_text(bio.get());
}

std::string serial_hex(const X509* certificate) {
    const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
    return hex({ASN1_STRING_get0_data(serial), static_cast<size_t>(ASN1_STRING_length(serial))});
}

Result<WallTime> not_before(const X509* certificate) {
    return wall_time(X509_get0_notBefore(certificate));
}

Result<WallTime> not_after(const X509* certificate) {
    return wall_time(X509_get0_notAfter(certificate));
}

std::vector<std::string> uri_names(const X509* certificate) {
    std::vector<std::string> uris;
    auto* names = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
        uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                          static_cast<size_t>(ASN1_STRING_length(uri)));
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return uris;
}

}  // namespace cvlan::pki
