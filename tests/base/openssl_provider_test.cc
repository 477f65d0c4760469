// SPDX-License-Identifier: Apache-2.0
#include "base/openssl_provider.h"

#include <gtest/gtest.h>
#include <openssl/decoder.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>
#include <string>

namespace cvlan {
namespace {

struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(BIO* bio) const { BIO_free(bio); }
    void operator()(EVP_KEYMGMT* type) const { EVP_KEYMGMT_free(type); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Bio = std::unique_ptr<BIO, Free>;

Key make(const std::string& type) {
    if (type == "EC") return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384"));
    if (type == "RSA") return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}));
    return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, type.c_str()));
}

class EveryKeyType : public testing::TestWithParam<const char*> {};

// main() has called offer_only_used_keys().
TEST_P(EveryKeyType, IsReadInEveryFormThatPeopleKeepItIn) {
    const Key key = make(GetParam());
    ASSERT_TRUE(key);
    char passphrase[] = "of a company";
    const auto written_by = [&](auto write, auto read) {
        const Bio file(BIO_new(BIO_s_mem()));
        EXPECT_EQ(write(file.get()), 1);
        const Key again(read(file.get()));
        EXPECT_TRUE(again && EVP_PKEY_eq(again.get(), key.get()) == 1);
    };
    const auto plain = [](BIO* from) {
        return PEM_read_bio_PrivateKey(from, nullptr, nullptr, nullptr);
    };
    // "BEGIN PRIVATE KEY", "BEGIN EC PRIVATE KEY", "BEGIN ENCRYPTED PRIVATE KEY", "BEGIN PUBLIC
    // KEY"
    written_by(
        [&](BIO* to) {
            return PEM_write_bio_PKCS8PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr,
                                                 nullptr);
        },
        plain);
    if (EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519)
        written_by(
            [&](BIO* to) {
                return PEM_write_bio_PrivateKey_traditional(to, key.get(), nullptr, nullptr, 0,
                                                            nullptr, nullptr);
            },
            plain);
    written_by(
        [&](BIO* to) {
            return PEM_write_bio_PKCS8PrivateKey(to, key.get(), EVP_aes_256_cbc(), passphrase,
                                                 sizeof passphrase - 1, nullptr, nullptr);
        },
        [&](BIO* from) { return PEM_read_bio_PrivateKey(from, nullptr, nullptr, passphrase); });
    written_by([&](BIO* to) { return PEM_write_bio_PUBKEY(to, key.get()); },
               [](BIO* from) { return PEM_read_bio_PUBKEY(from, nullptr, nullptr, nullptr); });
}

INSTANTIATE_TEST_SUITE_P(Used, EveryKeyType, testing::Values("EC", "RSA", "ED25519"));

TEST(OpenSsl, OffersNoKeyTypeThatNobodyUses) {
    for (const char* unused : {"DH", "DHX", "DSA", "SM2", "X448", "ED448"}) {
        const std::unique_ptr<EVP_KEYMGMT, Free> type(EVP_KEYMGMT_fetch(nullptr, unused, nullptr));
        EXPECT_FALSE(type) << unused;
    }
    size_t decoders = 0;
    OSSL_DECODER_do_all_provided(
        nullptr, [](OSSL_DECODER*, void* count) { ++*static_cast<size_t*>(count); }, &decoders);
    EXPECT_EQ(decoders, 13u) << "each costs something whenever a certificate is read";
}

}  // namespace
}  // namespace cvlan
