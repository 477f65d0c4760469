// SPDX-License-Identifier: Apache-2.0
#include "kernel-wg/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>

#include "base/bytes.h"

namespace cvlan::wg {

namespace {

struct FreeKey {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using Context = std::unique_ptr<EVP_PKEY_CTX, FreeContext>;

Secret<kKeySize> random_key() {
    Bytes bytes = random_bytes(kKeySize);
    Secret<kKeySize> key{std::span<const uint8_t, kKeySize>(bytes)};
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return key;
}

Key x25519_private(const PrivateKey& key) {
    return Key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, key.bytes().data(),
                                            key.bytes().size()));
}

}  // namespace

Result<PublicKey> PublicKey::parse(std::string_view text) {
    auto bytes = from_base64(text);
    if (!bytes || bytes->size() != kKeySize)
        return fail(Code::Invalid, "a WireGuard key is 32 bytes in 44 characters of base64");
    PublicKey key;
    std::copy(bytes->begin(), bytes->end(), key.bytes_.begin());
    return key;
}

std::string PublicKey::text() const { return base64(bytes_); }

PrivateKey generate_private_key() {
    PrivateKey key = random_key();
    // RFC 7748 section 5. X25519 clamps by itself; the kernel and wg(8) show the clamped key.
    key.writable()[0] &= 248;
    key.writable()[31] = static_cast<uint8_t>((key.writable()[31] & 127) | 64);
    return key;
}

PresharedKey generate_preshared_key() { return random_key(); }

Result<PublicKey> public_key_of(const PrivateKey& key) {
    const Key pair = x25519_private(key);
    PublicKey result;
    size_t size = kKeySize;
    if (!pair || EVP_PKEY_get_raw_public_key(pair.get(), result.writable().data(), &size) != 1 ||
        size != kKeySize)
        return fail(Code::Internal, "OpenSSL can not compute a public key");
    return result;
}

// OpenSSL refuses an agreement whose outcome is all zero (RFC 7748 section 6.1).
Result<Secret<kKeySize>> shared_secret(const PrivateKey& mine, const PublicKey& theirs) {
    const Key own = x25519_private(mine);
    const Key other(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, theirs.bytes().data(),
                                                theirs.bytes().size()));
    if (!own || !other) return fail(Code::Internal, "OpenSSL can not read a key");
    const Context context(EVP_PKEY_CTX_new(own.get(), nullptr));
    Secret<kKeySize> shared;
    size_t size = kKeySize;
    if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
        EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 ||
        EVP_PKEY_derive(context.get(), shared.writable().data(), &size) != 1 || size != kKeySize)
        return fail(Code::Invalid, "no secret is shared with this key");
    return shared;
}

// With a clamped, so cofactor-cleared, private key the outcome is all zero for exactly the points
// of low order, in each of their encodings: no list of them is needed.
bool is_usable_public_key(const PublicKey& key) {
    PrivateKey one;
    one.writable()[0] = 8;
    one.writable()[31] = 64;
    return shared_secret(one, key).has_value();
}

Result<Secret<kKeySize>> parse_secret_key(std::string_view text) {
    auto bytes = from_base64(text);
    if (!bytes) return fail(Code::Invalid, "a secret key is not base64");
    Result<Secret<kKeySize>> key = fail(Code::Invalid, "a secret key is not 32 bytes");
    if (bytes->size() == kKeySize)
        key = Secret<kKeySize>(std::span<const uint8_t, kKeySize>(*bytes));
    OPENSSL_cleanse(bytes->data(), bytes->size());
    return key;
}

SecretText secret_key_text(const Secret<kKeySize>& key) { return SecretText(base64(key.bytes())); }

}  // namespace cvlan::wg
