// SPDX-License-Identifier: Apache-2.0
#include "pki/csr.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "pki/openssl.h"

namespace cvlan::pki {
namespace {

std::string pem_of(X509_REQ* request) {
    BioPtr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509_REQ(bio.get(), request);
    return bio_text(bio.get());
}

// A request of `key` which asks for one extension.
std::string csr_with_extension(EVP_PKEY* key, int nid, const char* value) {
    EvpPtr<X509_REQ> request(X509_REQ_new());
    X509_REQ_set_pubkey(request.get(), key);
    STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
    X509_REQ_add_extensions(request.get(), extensions);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_sign(request.get(), key, EVP_sha256());
    return pem_of(request.get());
}

std::string csr_of(EVP_PKEY* key) {
    EvpPtr<X509_REQ> request(X509_REQ_new());
    X509_REQ_set_pubkey(request.get(), key);
    X509_REQ_sign(request.get(), key, EVP_sha256());
    return pem_of(request.get());
}

void expect_refused(const std::string& pem, std::string_view why) {
    const auto csr = Csr::parse(pem);
    ASSERT_FALSE(csr) << why;
    EXPECT_EQ(csr.error().code, Code::Invalid);
    EXPECT_NE(csr.error().message.find(why), std::string::npos) << csr.error().message;
}

TEST(Csr, ProvesTheKeyThatMadeIt) {
    const auto key = TlsKey::generate();
    const auto pem = create_csr(*key);
    ASSERT_TRUE(pem);
    const auto csr = Csr::parse(*pem);
    ASSERT_TRUE(csr) << csr.error().message;
    EXPECT_EQ(csr->key_hash(), key->key_hash());
    EXPECT_EQ(csr->spki().size(), 91u);
}

TEST(Csr, TellsTheOneCommonNameOfItsSubject) {
    const auto key = TlsKey::generate();
    EXPECT_EQ(Csr::parse(*create_csr(*key))->common_name(), "");
    const std::string name(64, 'a');
    EXPECT_EQ(Csr::parse(*create_csr(*key, name))->common_name(), name);
    EXPECT_FALSE(create_csr(*key, name + "a"));  // RFC 5280: ub-common-name

    EvpPtr<X509_REQ> two(X509_REQ_new());
    X509_REQ_set_pubkey(two.get(), key->get());
    for (const char* text : {"one", "two"})
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(two.get()), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(text), -1, -1, 0);
    X509_REQ_sign(two.get(), key->get(), EVP_sha256());
    EXPECT_EQ(Csr::parse(pem_of(two.get()))->common_name(), "");
}

// F22: extensions are set by the controller only.
TEST(Csr, RefusesExtensions) {
    const auto key = TlsKey::generate();
    expect_refused(csr_with_extension(key->get(), NID_subject_alt_name, "DNS:controller.example"),
                   "by the controller only");
    expect_refused(csr_with_extension(key->get(), NID_basic_constraints, "CA:TRUE"),
                   "by the controller only");
}

TEST(Csr, RefusesOtherKeysThanP256) {
    EvpPtr<EVP_PKEY> rsa(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{1024}));
    expect_refused(csr_of(rsa.get()), "P-256");
    const auto p384 = TlsKey::generate(Curve::P384);
    expect_refused(csr_of(p384->get()), "P-256");
}

// The same key under another hash: a barred one would be let in again.
TEST(Csr, RefusesTheKeyInAnyOtherFormThanTheOneThatIsHashed) {
    const auto key = TlsKey::generate();
    EXPECT_TRUE(Csr::parse(csr_of(key->get())));
    for (const char* form : {"compressed", "hybrid"}) {
        ASSERT_EQ(EVP_PKEY_set_utf8_string_param(key->get(),
                                                 OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form),
                  1);
        expect_refused(csr_of(key->get()), "uncompressed");
    }
}

// The right structure with a bit of the signed part, of the point or of the signature flipped.
TEST(Csr, RefusesEveryFlippedByte) {
    const auto key = TlsKey::generate();
    const std::string pem = *create_csr(*key);
    const std::string head = "-----BEGIN CERTIFICATE REQUEST-----\n";
    std::string body = pem.substr(head.size(), pem.find("-----END") - head.size());
    std::erase(body, '\n');
    Bytes der = *from_base64(body);
    for (size_t i = 0; i < der.size(); ++i) {
        der[i] ^= 0x04;
        const auto csr = Csr::parse(head + base64(der) + "\n-----END CERTIFICATE REQUEST-----\n");
        EXPECT_FALSE(csr) << "byte " << i;
        der[i] ^= 0x04;
    }
}

TEST(Csr, RefusesAPointOffTheCurve) {
    const auto key = TlsKey::generate();
    EvpPtr<X509_REQ> request(X509_REQ_new());
    X509_REQ_set_pubkey(request.get(), key->get());
    // Straight into the SubjectPublicKeyInfo, past OpenSSL's own check.
    X509_PUBKEY* spki = X509_REQ_get_X509_PUBKEY(request.get());
    X509_ALGOR* algorithm = nullptr;
    X509_PUBKEY_get0_param(nullptr, nullptr, nullptr, &algorithm, spki);
    Bytes point(65, 0x01);
    point[0] = 0x04;
    auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(point.data(), point.size()));
    ASN1_OBJECT* curve = OBJ_nid2obj(NID_X9_62_prime256v1);
    X509_PUBKEY_set0_param(spki, OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT, curve, copy,
                           static_cast<int>(point.size()));
    X509_REQ_sign(request.get(), key->get(), EVP_sha256());
    EXPECT_FALSE(Csr::parse(pem_of(request.get())));
}

TEST(Csr, RefusesWhatIsNotOneRequest) {
    const std::string pem = *create_csr(*TlsKey::generate());
    EXPECT_FALSE(Csr::parse(""));
    EXPECT_FALSE(Csr::parse(pem + pem));
    EXPECT_FALSE(Csr::parse("hello\n" + pem));
    EXPECT_FALSE(Csr::parse(pem.substr(0, pem.size() / 2)));
    EXPECT_FALSE(Csr::parse(pem + std::string(kMaxCsrBytes, ' ')));
    EXPECT_FALSE(Csr::parse(
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"));
}

}  // namespace
}  // namespace cvlan::pki
