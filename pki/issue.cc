// SPDX-License-Identifier: Apache-2.0
#include "pki/issue.h"

#include <openssl/bn.h>

namespace cvlan::pki {

namespace {

struct NamesFree {
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
    void operator()(BIGNUM* number) const { BN_free(number); }
    void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
template <class T>
using NamesPtr = std::unique_ptr<T, NamesFree>;

bool set_serial(X509* certificate) {
    const Bytes random = random_bytes(16);
    NamesPtr<BIGNUM> number(BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr));
    return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
}

bool set_times(X509* certificate, const CertificateSpec& spec) {
    return ASN1_TIME_set(X509_getm_notBefore(certificate),
                         static_cast<time_t>(unix_ms(spec.not_before) / 1000)) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate),
                         static_cast<time_t>(unix_ms(spec.not_after) / 1000));
}

constexpr size_t kPoint = 65;  // the end of a Csr's SubjectPublicKeyInfo

bool set_key(X509* certificate, const CertificateSpec& spec) {
    if (spec.subject_spki.size() < kPoint)
        return X509_set_pubkey(certificate, spec.subject_key) == 1;
    auto* point = static_cast<unsigned char*>(
        OPENSSL_memdup(spec.subject_spki.data() + spec.subject_spki.size() - kPoint, kPoint));
    const int size = static_cast<int>(kPoint);
    if (point && X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(certificate),
                                        OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
                                        OBJ_nid2obj(NID_X9_62_prime256v1), point, size) == 1)
        return true;
    OPENSSL_free(point);
    return false;
}

bool add_text(X509_NAME* name, const char* field, const std::string& text) {
    if (text.empty()) return true;
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
}

bool set_subject(X509* certificate, const CertificateSpec& spec) {
    X509_NAME* name = X509_get_subject_name(certificate);
    return add_text(name, "O", spec.organization) && add_text(name, "CN", spec.common_name);
}

bool push_name(GENERAL_NAMES* names, int type, ByteView content) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    ASN1_STRING* text = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    const bool done = name && text &&
                      ASN1_STRING_set(text, content.data(), static_cast<int>(content.size())) == 1;
    if (!done || sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(text);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, text);
    return true;
}

bool add_alternative_names(X509* certificate, const CertificateSpec& spec) {
    NamesPtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
    if (!names) return false;
    for (const std::string& uri : spec.uris)
        if (!push_name(names.get(), GEN_URI, as_bytes(uri))) return false;
    for (const std::string& dns : spec.dns_names)
        if (!push_name(names.get(), GEN_DNS, as_bytes(dns))) return false;
    for (const Address& address : spec.addresses)
        if (!push_name(names.get(), GEN_IPADD, address.bytes())) return false;
    if (sk_GENERAL_NAME_num(names.get()) == 0) return true;
    return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, 0) == 1;
}

bool add_extension(X509* certificate, X509V3_CTX* context, int nid, const char* value) {
    if (!value) return true;
    NamesPtr<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, context, nid, value));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool add_extensions(X509* certificate, X509* issuer, const CertificateSpec& spec) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    // The authority's key id is copied from the issuer's own: subject first, for who signs himself.
    return add_extension(certificate, &context, NID_basic_constraints, spec.basic_constraints) &&
           add_extension(certificate, &context, NID_key_usage, spec.key_usage) &&
           add_extension(certificate, &context, NID_ext_key_usage, spec.extended_key_usage) &&
           add_extension(certificate, &context, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, &context, NID_authority_key_identifier, "keyid:always") &&
           add_alternative_names(certificate, spec);
}

}  // namespace

Result<EvpPtr<X509>> make_certificate(const CertificateSpec& spec, X509* issuer,
                                      EVP_PKEY* issuer_key) {
    EvpPtr<X509> certificate(X509_new());
    X509* signer = issuer ? issuer : certificate.get();
    // A hash as strong as the signing curve (FIPS 186-5).
    const EVP_MD* digest = EVP_PKEY_get_bits(issuer_key) > 256 ? EVP_sha384() : EVP_sha256();
    const bool done = certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                      set_serial(certificate.get()) && set_times(certificate.get(), spec) &&
                      set_subject(certificate.get(), spec) &&
                      X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer)) == 1 &&
                      set_key(certificate.get(), spec) &&
                      add_extensions(certificate.get(), signer, spec) &&
                      X509_sign(certificate.get(), issuer_key, digest) > 0;
    if (!done) return openssl_error(Code::Internal, "make a certificate");
    return certificate;
}

std::string intermediate_name(EVP_PKEY* key) {
    return fmt::format("CloudVLAN intermediate {}", hex(sha256(spki_der(key))).substr(0, 16));
}

}  // namespace cvlan::pki
