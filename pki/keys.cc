// SPDX-License-Identifier: Apache-2.0
#include "pki/keys.h"

#include <openssl/ec.h>
#include <openssl/pem.h>

#include <cassert>

#include "base/file.h"
#include "pki/openssl.h"

namespace cvlan::pki {

namespace {

constexpr size_t kMaxKeyFile = 65536;

// A passphrase is asked of nobody: an encrypted key fails.
int no_passphrase(char*, int, int, void*) { return -1; }

Result<EvpPtr<EVP_PKEY>> read_private_key(const SecretText& pem) {
    BioPtr bio = read_bio(pem.reveal());
    EvpPtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (!key) return openssl_error(Code::Invalid, "no private key in PEM");
    return key;
}

Result<SecretText> write_private_key(EVP_PKEY* key) {
    BioPtr bio = secret_bio();
    if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return openssl_error(Code::Internal, "write a private key");
    return SecretText(bio_text(bio.get()));
}

// Reads the key of `path`, or makes one there.
Result<SigningKey> keep_signing_key(const std::string& path) {
    auto text = read_secret_file(path, kMaxKeyFile);
    if (text) return SigningKey::from_pem(SecretText(std::move(*text)));
    if (text.error().code != Code::NotFound) return failed(text.error());

    SigningKey key = SigningKey::generate();
    auto pem = key.to_pem();
    if (!pem) return failed(pem.error());
    if (auto kept = write_durable(path, pem->reveal(), 0600); !kept) return failed(kept.error());
    return key;
}

Result<SigningKey> load_signing_key(const std::string& path) {
    auto text = read_secret_file(path, kMaxKeyFile);
    if (!text) return failed(text.error());
    auto key = SigningKey::from_pem(SecretText(std::move(*text)));
    if (!key) return failed(key.error().while_doing(path));
    return key;
}

}  // namespace

std::string key_hash(EVP_PKEY* key) { return hex(sha256(spki_der(key))); }

Result<TlsKey> TlsKey::generate(Curve curve) {
    EvpPtr<EVP_PKEY> key(EVP_EC_gen(curve == Curve::P256 ? "P-256" : "P-384"));
    if (!key) return openssl_error(Code::Internal, "make an EC key");
    return TlsKey(std::move(key));
}

Result<TlsKey> TlsKey::from_pem(const SecretText& pem) {
    auto key = read_private_key(pem);
    if (!key) return failed(key.error());
    const std::string group = group_name(key->get());
    if (group != "prime256v1" && group != "secp384r1")
        return fail(Code::Invalid, "the private key is neither P-256 nor P-384");
    return TlsKey(std::move(*key));
}

Result<SecretText> TlsKey::to_pem() const { return write_private_key(key_.get()); }

std::string TlsKey::key_hash() const { return pki::key_hash(key_.get()); }

Result<VerifyKey> VerifyKey::from_base64(std::string_view text) {
    auto bytes = cvlan::from_base64(text);
    if (!bytes) return failed(bytes.error().while_doing("public key"));
    return from_bytes(*bytes);
}

Result<VerifyKey> VerifyKey::from_bytes(ByteView bytes) {
    if (bytes.size() != 32) return fail(Code::Invalid, "public key: must be 32 bytes");
    VerifyKey key;
    key.key_.reset(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size()));
    if (!key.key_) return openssl_error(Code::Invalid, "public key");
    key.bytes_.assign(bytes.begin(), bytes.end());
    key.kid_ = hex(sha256(bytes)).substr(0, 16);
    return key;
}

std::string VerifyKey::to_base64() const { return base64(bytes_); }

bool VerifyKey::verify(ByteView message, ByteView signature) const {
    EvpPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    const bool good =
        EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
        EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                         message.size()) == 1;
    if (!good) clear_openssl_errors();
    return good;
}

Result<SigningKey> SigningKey::adopt(EvpPtr<EVP_PKEY> key) {
    Bytes raw(32);
    size_t size = raw.size();
    if (EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1)
        return fail(Code::Invalid, "the private key is not Ed25519");
    auto public_half = VerifyKey::from_bytes(raw);
    if (!public_half) return failed(public_half.error());
    return SigningKey(std::move(key), std::move(*public_half));
}

SigningKey SigningKey::generate() {
    EvpPtr<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    assert(key);
    return std::move(*adopt(std::move(key)));
}

Result<SigningKey> SigningKey::from_pem(const SecretText& pem) {
    auto key = read_private_key(pem);
    if (!key) return failed(key.error());
    return adopt(std::move(*key));
}

Result<SecretText> SigningKey::to_pem() const { return write_private_key(key_.get()); }

Bytes SigningKey::sign(ByteView message) const {
    EvpPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    Bytes signature(64);
    size_t size = signature.size();
    // Ed25519 hashes by itself (RFC 8032), hence no digest.
    const bool done =
        EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
        EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1;
    if (!done) std::abort();  // out of memory: a map without a signature must not leave
    return signature;
}

SignedBytes sign_bytes(const SigningKey& key, std::string payload) {
    Bytes signature = key.sign(as_bytes(payload));
    return {key.kid(), std::move(payload), std::move(signature)};
}

Result<TenantKeys> TenantKeys::create(const std::string& folder, const std::string& tenant_id) {
    const std::string own = folder + "/" + tenant_id;
    if (auto made = make_directories(own, 0700); !made) return failed(made.error());
    auto token = keep_signing_key(own + "/token.key");
    if (!token) return failed(token.error());
    auto map = keep_signing_key(own + "/map.key");
    if (!map) return failed(map.error());
    return TenantKeys{std::move(*token), std::move(*map)};
}

Result<TenantKeys> TenantKeys::load(const std::string& folder, const std::string& tenant_id) {
    const std::string own = folder + "/" + tenant_id;
    auto token = load_signing_key(own + "/token.key");
    if (!token) return failed(token.error());
    auto map = load_signing_key(own + "/map.key");
    if (!map) return failed(map.error());
    return TenantKeys{std::move(*token), std::move(*map)};
}

Result<void> TenantKeys::remove(const std::string& folder, const std::string& tenant_id) {
    const std::string own = folder + "/" + tenant_id;
    for (const char* name : {"/token.key", "/token.key.prev", "/map.key", "/map.key.prev"})
        if (auto gone = remove_file(own + name); !gone) return gone;
    if (::rmdir(own.c_str()) != 0 && errno != ENOENT) return failed(errno_error("rmdir " + own));
    return {};
}

}  // namespace cvlan::pki
