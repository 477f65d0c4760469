// SPDX-License-Identifier: Apache-2.0
#pragma once

// Key pairs: ECDSA for TLS and certificates, Ed25519 for signatures over tokens and maps. All are
// values of one owner; private halves leave as SecretText alone. Safe to use from any thread.

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"

namespace cvlan::pki {

struct EvpFree {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(X509_REQ* request) const { X509_REQ_free(request); }
};
template <class T>
using EvpPtr = std::unique_ptr<T, EvpFree>;

enum class Curve { P256, P384 };

// A TLS key pair.
class TlsKey {
public:
    static Result<TlsKey> generate(Curve curve = Curve::P256);
    // PKCS 8, unencrypted. Another kind of key than P-256 or P-384 is Code::Invalid.
    static Result<TlsKey> from_pem(const SecretText& pem);

    Result<SecretText> to_pem() const;
    // Hex SHA-256 of the SubjectPublicKeyInfo: how the controller's rows name a TLS key.
    std::string key_hash() const;
    EVP_PKEY* get() const { return key_.get(); }

private:
    explicit TlsKey(EvpPtr<EVP_PKEY> key) : key_(std::move(key)) {}
    EvpPtr<EVP_PKEY> key_;
};

// Hex SHA-256 of the SubjectPublicKeyInfo.
std::string key_hash(EVP_PKEY* key);

// The public half of an Ed25519 key.
class VerifyKey {
public:
    static Result<VerifyKey> from_base64(std::string_view text);
    static Result<VerifyKey> from_bytes(ByteView bytes);  // 32

    const Bytes& bytes() const { return bytes_; }
    std::string to_base64() const;
    const std::string& kid() const { return kid_; }  // first 16 hex of the SHA-256 of bytes()
    [[nodiscard]] bool verify(ByteView message, ByteView signature) const;

private:
    VerifyKey() = default;
    EvpPtr<EVP_PKEY> key_;
    Bytes bytes_;
    std::string kid_;
};

// An Ed25519 key pair.
class SigningKey {
public:
    static SigningKey generate();
    static Result<SigningKey> from_pem(const SecretText& pem);

    Result<SecretText> to_pem() const;
    const VerifyKey& public_key() const { return public_; }
    const std::string& kid() const { return public_.kid(); }
    Bytes sign(ByteView message) const;  // 64 bytes

private:
    SigningKey(EvpPtr<EVP_PKEY> key, VerifyKey public_half)
        : key_(std::move(key)), public_(std::move(public_half)) {}
    static Result<SigningKey> adopt(EvpPtr<EVP_PKEY> key);
    EvpPtr<EVP_PKEY> key_;
    VerifyKey public_;
};

// Bytes with the signature over exactly these bytes; on the wire wire::SignedBytes.
struct SignedBytes {
    std::string kid;
    std::string payload;
    Bytes signature;
};
SignedBytes sign_bytes(const SigningKey& key, std::string payload);

// The two keys of a tenant. They are files `<folder>/<tenant id>/{token,map}.key`, 0600, and stand
// in no database. create() keeps what is there; load() refuses a file that others can read.
struct TenantKeys {
    SigningKey token;
    SigningKey map;

    static Result<TenantKeys> create(const std::string& folder, const std::string& tenant_id);
    static Result<TenantKeys> load(const std::string& folder, const std::string& tenant_id);
    static Result<void> remove(const std::string& folder, const std::string& tenant_id);
};

}  // namespace cvlan::pki
