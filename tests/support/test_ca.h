// SPDX-License-Identifier: Apache-2.0
#pragma once

// Certificates for tests, made by OpenSSL on the spot: P-256 keys, a CA, what it issues, and each
// way in which a certificate can be wrong.

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace cvlan::test {

struct IssuedCert {
    std::string cert_pem;
    std::string key_pem;
};

struct CertWish {
    std::string name = "test";
    std::string san = "DNS:localhost,IP:127.0.0.1,IP:::1";  // as openssl.cnf writes it; empty: none
    std::string eku = "serverAuth";                         // empty: no EKU at all
    long valid_from = -3600;                                // seconds from now
    long valid_to = 3600;
    int padding = 0;  // bytes of a comment, to make it long
};

class TestCa {
public:
    explicit TestCa(const std::string& name) : key_(EVP_EC_gen("P-256")) {
        cert_.reset(new_cert(name, key_.get()));
        set_times(cert_.get(), -7200, 7200);
        X509_set_issuer_name(cert_.get(), X509_get_subject_name(cert_.get()));
        add(cert_.get(), NID_basic_constraints, "critical,CA:TRUE");
        add(cert_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
        sign(cert_.get(), key_.get());
    }
    // An intermediate of `parent`.
    TestCa(const std::string& name, const TestCa& parent) : key_(EVP_EC_gen("P-256")) {
        cert_.reset(new_cert(name, key_.get()));
        set_times(cert_.get(), -7200, 7200);
        X509_set_issuer_name(cert_.get(), X509_get_subject_name(parent.cert_.get()));
        add(cert_.get(), NID_basic_constraints, "critical,CA:TRUE");
        add(cert_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
        sign(cert_.get(), parent.key_.get());
    }

    std::string pem() const { return cert_text(cert_.get()); }

    IssuedCert issue(const CertWish& wish) const {
        const Key key(EVP_EC_gen("P-256"));
        const Cert cert(new_cert(wish.name, key.get()));
        set_times(cert.get(), wish.valid_from, wish.valid_to);
        X509_set_issuer_name(cert.get(), X509_get_subject_name(cert_.get()));
        add(cert.get(), NID_basic_constraints, "critical,CA:FALSE");
        if (!wish.san.empty()) add(cert.get(), NID_subject_alt_name, wish.san);
        if (!wish.eku.empty()) add(cert.get(), NID_ext_key_usage, wish.eku);
        if (wish.padding > 0)
            add(cert.get(), NID_netscape_comment,
                std::string(static_cast<size_t>(wish.padding), 'x'));
        sign(cert.get(), key_.get());
        return {cert_text(cert.get()), key_text(key.get())};
    }

private:
    struct Free {
        void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
        void operator()(X509* cert) const { X509_free(cert); }
        void operator()(BIO* bio) const { BIO_free(bio); }
    };
    using Key = std::unique_ptr<EVP_PKEY, Free>;
    using Cert = std::unique_ptr<X509, Free>;
    using Bio = std::unique_ptr<BIO, Free>;

    static X509* new_cert(const std::string& name, EVP_PKEY* key) {
        static long serial = 1;
        X509* cert = X509_new();
        X509_set_version(cert, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
        X509_set_pubkey(cert, key);
        return cert;
    }
    static void set_times(X509* cert, long from, long to) {
        X509_gmtime_adj(X509_getm_notBefore(cert), from);
        X509_gmtime_adj(X509_getm_notAfter(cert), to);
    }
    static void add(X509* cert, int nid, const std::string& value) {
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
        if (!extension) std::abort();
        X509_add_ext(cert, extension, -1);
        X509_EXTENSION_free(extension);
    }
    static void sign(X509* cert, EVP_PKEY* key) {
        if (X509_sign(cert, key, EVP_sha256()) == 0) std::abort();
    }
    static std::string text_of(BIO* bio) {
        char* text = nullptr;
        const long size = BIO_get_mem_data(bio, &text);
        return {text, static_cast<size_t>(size)};
    }
    static std::string cert_text(X509* cert) {
        const Bio bio(BIO_new(BIO_s_mem()));
        PEM_write_bio_X509(bio.get(), cert);
        return text_of(bio.get());
    }
    static std::string key_text(EVP_PKEY* key) {
        const Bio bio(BIO_new(BIO_s_mem()));
        PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
        return text_of(bio.get());
    }

    Key key_;
    Cert cert_;
};

}  // namespace cvlan::test
