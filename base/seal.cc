// SPDX-License-Identifier: Apache-2.0
#include "base/seal.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <cassert>
#include <cstdlib>
#include <memory>

namespace cvlan {
namespace {

constexpr size_t kKey = 32;
constexpr size_t kNonce = 12;
constexpr size_t kTag = 16;

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

// OpenSSL fails here when there is no memory alone.
void must(int is_good) {
    if (is_good != 1) std::abort();
}

}  // namespace

Bytes seal(ByteView key, ByteView text) {
    assert(key.size() == kKey);
    Bytes sealed = random_bytes(kNonce);
    sealed.resize(kNonce + text.size() + kTag);
    const Context context(EVP_CIPHER_CTX_new());
    must(context ? 1 : 0);
    int size = 0;
    must(EVP_EncryptInit_ex2(context.get(), EVP_aes_256_gcm(), key.data(), sealed.data(), nullptr));
    must(EVP_EncryptUpdate(context.get(), sealed.data() + kNonce, &size, text.data(),
                           static_cast<int>(text.size())));
    must(EVP_EncryptFinal_ex(context.get(), sealed.data() + kNonce + size, &size));
    must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTag,
                             sealed.data() + kNonce + text.size()));
    return sealed;
}

Result<std::string> unseal(ByteView key, ByteView sealed) {
    assert(key.size() == kKey);
    if (sealed.size() < kNonce + kTag) return fail(Code::Denied, "sealed text: cut off");
    const ByteView body = sealed.subspan(kNonce, sealed.size() - kNonce - kTag);
    Bytes tag(sealed.end() - kTag, sealed.end());
    std::string text(body.size(), '\0');
    auto* out = reinterpret_cast<unsigned char*>(text.data());
    const Context context(EVP_CIPHER_CTX_new());
    must(context ? 1 : 0);
    int size = 0;
    must(EVP_DecryptInit_ex2(context.get(), EVP_aes_256_gcm(), key.data(), sealed.data(), nullptr));
    must(EVP_DecryptUpdate(context.get(), out, &size, body.data(), static_cast<int>(body.size())));
    must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()));
    if (EVP_DecryptFinal_ex(context.get(), out + size, &size) == 1) return text;
    ERR_clear_error();
    return fail(Code::Denied, "sealed text: not of this key");
}

}  // namespace cvlan
