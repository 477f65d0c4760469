// SPDX-License-Identifier: Apache-2.0
#include "kernel-wg/keys.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/bytes.h"

namespace cvlan::wg {
namespace {

PublicKey from_hex_text(std::string_view text) {
    const auto bytes = from_hex(text);
    PublicKey key;
    std::copy(bytes->begin(), bytes->end(), key.writable().begin());
    return key;
}

TEST(PublicKey, ComesBackFromItsText) {
    EXPECT_TRUE(rc::check([](const std::array<uint8_t, 32>& bytes) {
        const PublicKey key(bytes);
        const auto parsed = PublicKey::parse(key.text());
        RC_ASSERT(parsed.has_value());
        RC_ASSERT(*parsed == key);
    }));
}

TEST(PublicKey, RefusesOtherSizesAndForms) {
    const std::string good = PublicKey().text();
    EXPECT_EQ(good.size(), 44u);
    EXPECT_TRUE(PublicKey::parse(good));
    for (const std::string& bad :
         {std::string(), base64(Bytes(31)), base64(Bytes(33)), good.substr(0, 43), good + "\n",
          " " + good, std::string(43, 'A') + "B", std::string(42, 'A') + "B="}) {
        EXPECT_EQ(PublicKey::parse(bad).error().code, Code::Invalid) << bad;
    }
}

TEST(PublicKey, IsThatOfRfc7748) {
    // RFC 7748 section 5.2, "after one iteration": the scalar 9 on the base point.
    PrivateKey nine;
    nine.writable()[0] = 9;
    const auto derived = public_key_of(nine);
    ASSERT_TRUE(derived);
    EXPECT_EQ(*derived, from_hex_text("422c8e7a6227d7bca1350b3e2bb7279f"
                                      "7897b87bb6854b783c60e80311ae3079"));
}

TEST(GeneratedKeys, AreClampedDifferentAndUsable) {
    PublicKey last;
    for (int i = 0; i < 20; ++i) {
        const PrivateKey key = generate_private_key();
        EXPECT_EQ(key.bytes()[0] & 7, 0);
        EXPECT_EQ(key.bytes()[31] & 0xc0, 0x40);
        const auto derived = public_key_of(key);
        ASSERT_TRUE(derived);
        EXPECT_TRUE(is_usable_public_key(*derived));
        EXPECT_NE(*derived, last);
        last = *derived;
    }
    EXPECT_FALSE(generate_preshared_key() == generate_preshared_key());
}

TEST(UsableKey, RefusesEveryPointOfLowOrder) {
    // https://cr.yp.to/ecdh.html#validate, and the same with the ignored top bit set.
    for (const std::string_view point :
         {"0000000000000000000000000000000000000000000000000000000000000000",
          "0100000000000000000000000000000000000000000000000000000000000000",
          "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
          "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
          "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
          "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
        PublicKey key = from_hex_text(point);
        EXPECT_FALSE(is_usable_public_key(key)) << point;
        key.writable()[31] |= 0x80;
        EXPECT_FALSE(is_usable_public_key(key)) << point << " with its top bit";
    }
}

TEST(SecretKey, ComesBackFromItsTextAndIsNeverPrinted) {
    const PrivateKey key = generate_private_key();
    const auto parsed = parse_secret_key(secret_key_text(key).reveal());
    ASSERT_TRUE(parsed);
    EXPECT_TRUE(*parsed == key);
    EXPECT_EQ(fmt::format("{}", key), "***");
}

TEST(SecretKey, AnErrorDoesNotRepeatTheText) {
    for (const std::string& bad : {std::string("c2VjcmV0"), std::string("not base64!")}) {
        const auto parsed = parse_secret_key(bad);
        ASSERT_FALSE(parsed);
        EXPECT_EQ(parsed.error().code, Code::Invalid);
        EXPECT_EQ(parsed.error().message.find(bad), std::string::npos);
    }
}

}  // namespace
}  // namespace cvlan::wg
