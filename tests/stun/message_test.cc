// SPDX-License-Identifier: Apache-2.0
#include "stun/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "stun/builder.h"
#include "stun/checksum.h"
#include "tests/support/stun_vectors.h"

namespace cvlan::stun {
namespace {

using testing::ElementsAre;
using tests::kStunVectors;
using tests::stun_vector;

const std::string kPassword = "VOkJxbRl1RmTxUk/WvJxBt";
const std::string kUser = "\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9";

// A message of these attributes, as hex digits, with the length that they have.
Bytes message_of(std::string_view attributes, std::string_view type = "0101") {
    Bytes body = *from_hex(attributes);
    Bytes message =
        *from_hex(fmt::format("{}{:04x}2112a442b7e7a701bc34d686fa87dfae", type, body.size()));
    message.insert(message.end(), body.begin(), body.end());
    return message;
}

Code fault_of(std::string_view attributes) {
    const Bytes bytes = message_of(attributes);
    const auto message = Message::parse(bytes);
    return message ? Code::Internal : message.error().code;
}

Bytes long_term_key(const EVP_MD* digest) {
    const std::string text = kUser + ":example.org:TheMatrIX";
    Bytes key(static_cast<size_t>(EVP_MD_get_size(digest)));
    EVP_Digest(text.data(), text.size(), key.data(), nullptr, digest, nullptr);
    return key;
}

TEST(StunType, PutsTheClassBetweenTheBitsOfTheMethod) {
    EXPECT_EQ(type_of(Class::Request, Method::Binding), 0x0001);
    EXPECT_EQ(type_of(Class::Indication, Method::Binding), 0x0011);
    EXPECT_EQ(type_of(Class::Success, Method::Binding), 0x0101);
    EXPECT_EQ(type_of(Class::Error, Method::Binding), 0x0111);
    EXPECT_EQ(type_of(Class::Request, Method::Bind), 0x028A);
    EXPECT_EQ(type_of(Class::Success, Method::Bind), 0x038A);
    EXPECT_EQ(type_of(Class::Error, Method::Bind), 0x039A);
}

TEST(StunType, EveryClassAndMethodComesBack) {
    for (unsigned m = 0; m < 0x1000; ++m)
        for (unsigned c = 0; c < 4; ++c) {
            const auto type = type_of(static_cast<Class>(c), static_cast<Method>(m));
            ASSERT_LT(type, 0x4000);
            const Bytes bytes = message_of("", fmt::format("{:04x}", type));
            const auto message = Message::parse(bytes);
            ASSERT_TRUE(message);
            ASSERT_TRUE(message->is(static_cast<Class>(c), static_cast<Method>(m)));
        }
}

TEST(StunMessage, ReadsTheRequestOfRfc5769) {
    const Bytes bytes = stun_vector("rfc5769-request");
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message) << message.error().message;
    EXPECT_TRUE(message->is(Class::Request, Method::Binding));
    EXPECT_EQ(hex(message->transaction()), "b7e7a701bc34d686fa87dfae");
    EXPECT_EQ(message->software(), "STUN test client");
    EXPECT_EQ(message->username(), "evtj:h6vY");
    EXPECT_TRUE(message->unknown().empty());  // PRIORITY is known, ICE-CONTROLLED optional
    EXPECT_TRUE(message->has_fingerprint());
    EXPECT_TRUE(message->is_authentic_sha1(as_bytes(kPassword)));
    EXPECT_FALSE(message->is_authentic_sha1(as_bytes("VOkJxbRl1RmTxUk/WvJxBT")));
    EXPECT_FALSE(message->has_integrity());
    EXPECT_FALSE(message->is_authentic(as_bytes(kPassword)));
}

TEST(StunMessage, ReadsTheAnswersOfRfc5769) {
    for (const auto& [name, endpoint] :
         {std::pair("rfc5769-response-v4", "192.0.2.1:32853"),
          std::pair("rfc5769-response-v6", "[2001:db8:1234:5678:11:2233:4455:6677]:32853")}) {
        const Bytes bytes = stun_vector(name);
        const auto message = Message::parse(bytes);
        ASSERT_TRUE(message) << message.error().message;
        EXPECT_TRUE(message->is(Class::Success, Method::Binding));
        ASSERT_TRUE(message->mapped());
        EXPECT_EQ(message->mapped()->text(), endpoint);
        EXPECT_EQ(message->software(), "test vector");
        EXPECT_TRUE(message->is_authentic_sha1(as_bytes(kPassword)));
        EXPECT_TRUE(message->has_fingerprint());
    }
}

TEST(StunMessage, VerifiesTheLongTermRequestOfRfc5769) {
    const Bytes bytes = stun_vector("rfc5769-long-term");
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->username(), kUser);
    EXPECT_THAT(message->unknown().types(), ElementsAre(0x0014));  // REALM
    EXPECT_EQ(message->nonce(), "f//499k954d6OL34oL9FSTvy64sA");
    EXPECT_TRUE(message->is_authentic_sha1(long_term_key(EVP_md5())));
    EXPECT_FALSE(message->has_fingerprint());
}

// Erratum 6268: the RFC's own bytes lack PASSWORD-ALGORITHM.
TEST(StunMessage, VerifiesTheRequestOfRfc8489) {
    const Bytes bytes = stun_vector("rfc8489-long-term");
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_THAT(message->unknown().types(), ElementsAre(0x001E, 0x0014, 0x001D));
    EXPECT_EQ(message->nonce(), "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
    EXPECT_TRUE(message->has_integrity());
    EXPECT_TRUE(message->is_authentic(long_term_key(EVP_sha256())));
    EXPECT_FALSE(message->is_authentic(long_term_key(EVP_md5())));
    EXPECT_FALSE(message->is_authentic_sha1(long_term_key(EVP_sha256())));
}

TEST(StunMessage, EveryTruncationIsRefused) {
    for (const std::string& name : kStunVectors) {
        const Bytes whole = stun_vector(name);
        for (size_t size = 0; size < whole.size(); ++size) {
            // A copy of its own, so that the sanitizer sees a read behind its end.
            const Bytes part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
            EXPECT_FALSE(Message::parse(part)) << name << " " << size;
        }
    }
}

// A header that tells the truth about a message cut off: good between two attributes alone.
TEST(StunMessage, ATruncationWithItsLengthSetRightIsRefusedInsideAnAttribute) {
    const Bytes whole = stun_vector("rfc5769-request");
    const std::vector<size_t> whole_attributes{20, 40, 48, 60, 76, 100, 108};
    for (size_t size = kHeaderSize; size <= whole.size(); ++size) {
        Bytes part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
        part[3] = static_cast<uint8_t>(size - kHeaderSize);
        const bool is_good = std::ranges::find(whole_attributes, size) != whole_attributes.end();
        EXPECT_EQ(Message::parse(part).has_value(), is_good) << size;
    }
}

TEST(StunMessage, EveryBitCounts) {
    const Bytes whole = stun_vector("rfc5769-response-v4");
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
        Bytes changed = whole;
        changed[bit / 8] = static_cast<uint8_t>(changed[bit / 8] ^ 1 << bit % 8);
        const auto message = Message::parse(changed);
        // The fingerprint sees all of it, as long as it is still one.
        EXPECT_FALSE(message && message->has_fingerprint()) << bit;
    }
}

TEST(StunMessage, EveryBitBeforeTheIntegrityIsUnderIt) {
    const Bytes whole = stun_vector("rfc8489-long-term");
    const Bytes key = long_term_key(EVP_sha256());
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
        Bytes changed = whole;
        changed[bit / 8] = static_cast<uint8_t>(changed[bit / 8] ^ 1 << bit % 8);
        const auto message = Message::parse(changed);
        EXPECT_FALSE(message && message->is_authentic(key)) << bit;
    }
}

TEST(StunMessage, WhatIsNoneIsNotTakenForOne) {
    EXPECT_TRUE(Message::looks_like_one(message_of("")));
    const Bytes whole = stun_vector("rfc5769-request");
    for (size_t byte : {size_t{0}, size_t{3}, size_t{4}, size_t{7}}) {
        Bytes changed = whole;
        changed[byte] ^= 0x80;
        EXPECT_FALSE(Message::looks_like_one(changed)) << byte;
        EXPECT_FALSE(Message::parse(changed)) << byte;
    }
    Bytes longer = whole;
    longer.push_back(0);
    EXPECT_FALSE(Message::looks_like_one(longer));
    // A handshake of WireGuard: type 1, three zero bytes, 148 bytes.
    Bytes handshake(148);
    handshake[0] = 1;
    EXPECT_FALSE(Message::looks_like_one(handshake));
}

TEST(StunMessage, AnAddressThatIsNoneIsMalformed) {
    EXPECT_EQ(fault_of("0020000800010000c0000201"), Code::Internal);
    EXPECT_EQ(fault_of("0020000800020000c0000201"), Code::Malformed);  // IPv6 of 4 bytes
    EXPECT_EQ(fault_of("0020000800030000c0000201"), Code::Malformed);  // no family
    EXPECT_EQ(fault_of("002000070001"
                       "0000c0000200"),
              Code::Malformed);
    EXPECT_EQ(fault_of("00010000"), Code::Malformed);
    EXPECT_EQ(fault_of("0001001400010000" + std::string(32, '0')), Code::Malformed);
}

TEST(StunMessage, AMappedAddressCountsWhereThereIsNoXoredOne) {
    const Bytes old = message_of("0001000800011f90c0000201");
    ASSERT_TRUE(Message::parse(old)->mapped());
    EXPECT_EQ(Message::parse(old)->mapped()->text(), "192.0.2.1:8080");
    const Bytes both = message_of(
        "0001000800011f90c0000209"
        "00200008"
        "0001a147e112a643");
    EXPECT_EQ(Message::parse(both)->mapped()->text(), "192.0.2.1:32853");
}

TEST(StunMessage, OfSeveralOfATypeTheFirstCounts) {
    const Bytes bytes = message_of(
        "00060004"
        "61616161"
        "00060004"
        "62626262");
    EXPECT_EQ(Message::parse(bytes)->username(), "aaaa");
    EXPECT_EQ(fault_of("0001000800011f90c0000201"
                       "00010000"),
              Code::Malformed);
}

TEST(StunMessage, PaddingMayBeAnythingAndMustBeThere) {
    const Bytes bytes = message_of(
        "00060001"
        "61ffffff");
    EXPECT_EQ(Message::parse(bytes)->username(), "a");
    EXPECT_EQ(fault_of("000600056162636465000000"), Code::Internal);
    EXPECT_EQ(fault_of("0006000561626364"), Code::Malformed);
    EXPECT_EQ(fault_of("0006ffff61626364"), Code::Malformed);
}

TEST(StunMessage, UnknownAttributesThatMustBeUnderstoodAreTold) {
    const Bytes bytes = message_of(
        "7fff0000"
        "80000000"
        "00030004"
        "00000006"
        "c0570000",
        "0001");
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_THAT(message->unknown().types(), ElementsAre(0x7FFF, 0x0003));
}

TEST(StunMessage, MoreUnknownAttributesThanFitAreLeftOut) {
    std::string attributes;
    for (int i = 0; i < 100; ++i) attributes += "7f000000";
    const Bytes bytes = message_of(attributes);
    EXPECT_EQ(Message::parse(bytes)->unknown().types().size(), 8u);
}

TEST(StunMessage, ErrorsAreRead) {
    const Bytes bytes = message_of(
        "0009000b"
        "00000414"
        "556e6b6e6f776e00"
        "000a0004"
        "00030024",
        "0111");
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->error_code(), (ErrorCode{420, "Unknown"}));
    EXPECT_THAT(message->refused().types(), ElementsAre(0x0003, 0x0024));
    EXPECT_EQ(fault_of("0009000400000200"), Code::Malformed);  // 200
    EXPECT_EQ(fault_of("0009000400000700"), Code::Malformed);  // 700
    EXPECT_EQ(fault_of("0009000400000464"), Code::Malformed);  // 4 and 100
    EXPECT_EQ(fault_of("0009000300000400"), Code::Malformed);
    EXPECT_EQ(fault_of("000a000300030000"), Code::Malformed);  // one and a half
}

TEST(StunMessage, TextHasALimit) {
    const std::string longest(2 * 508, '6');
    EXPECT_EQ(fault_of("000601fc" + longest), Code::Internal);
    EXPECT_EQ(fault_of("000601fd" + longest + "36000000"), Code::Malformed);
}

TEST(StunMessage, AFingerprintMustBeRightAndTheLast) {
    EXPECT_EQ(fault_of("8028000400000000"), Code::Malformed);
    EXPECT_EQ(fault_of("80280002"
                       "00000000"),
              Code::Malformed);
    Bytes bytes = stun_vector("rfc5769-response-v4");
    bytes.insert(bytes.end(), {0x80, 0x22, 0, 0});
    bytes[3] = static_cast<uint8_t>(bytes[3] + 4);
    EXPECT_FALSE(Message::parse(bytes));
}

// The message of RFC 8489 with its integrity cut to so many bytes.
Bytes truncated_to(size_t size) {
    Bytes bytes = stun_vector("rfc8489-long-term");
    const size_t at = bytes.size() - 4 - kSha256Size;
    bytes.resize(at + 4 + size);
    bytes[3] = static_cast<uint8_t>(bytes.size() - kHeaderSize);
    bytes[at + 3] = static_cast<uint8_t>(size);
    const auto right = integrity_sha256(bytes, at, size, long_term_key(EVP_sha256()));
    std::copy_n(right.begin(), size, bytes.begin() + static_cast<ptrdiff_t>(at) + 4);
    return bytes;
}

TEST(StunMessage, AnIntegrityMayBeCutToSixteenBytesWhereTheCallerAllowsIt) {
    const Bytes key = long_term_key(EVP_sha256());
    for (size_t size : {16u, 20u, 24u, 28u}) {
        const Bytes bytes = truncated_to(size);
        const auto message = Message::parse(bytes);
        ASSERT_TRUE(message) << size;
        EXPECT_FALSE(message->is_authentic(key)) << size;
        EXPECT_TRUE(message->is_authentic(key, 16)) << size;
        EXPECT_TRUE(message->is_authentic(key, size)) << size;
        EXPECT_FALSE(message->is_authentic(key, size + 4)) << size;
    }
    EXPECT_FALSE(Message::parse(truncated_to(12)));
    EXPECT_EQ(fault_of("001c0012" + std::string(40, '0')), Code::Malformed);  // 18 bytes
    EXPECT_EQ(fault_of("001c0024" + std::string(72, '0')), Code::Malformed);  // 36 bytes
    EXPECT_EQ(fault_of("00080010" + std::string(32, '0')), Code::Malformed);  // SHA-1 is whole
}

TEST(StunMessage, AnEmptyKeyProvesNothing) {
    const Bytes bytes = stun_vector("rfc8489-long-term");
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message->is_authentic(long_term_key(EVP_sha256())));
    EXPECT_FALSE(message->is_authentic({}));  // not the key that was used last
    EXPECT_FALSE(message->is_authentic_sha1({}));
}

TEST(StunMessage, WhatStandsBehindTheIntegrityDoesNotCount) {
    Bytes bytes = stun_vector("rfc8489-long-term");
    const Bytes behind = *from_hex(
        "00060004"
        "65766974"
        "7fff0000"
        "00200008"
        "0001a147e112a643");
    bytes.insert(bytes.end(), behind.begin(), behind.end());
    bytes[3] = static_cast<uint8_t>(bytes.size() - kHeaderSize);
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_TRUE(message->is_authentic(long_term_key(EVP_sha256())));
    EXPECT_EQ(message->username(), std::nullopt);
    EXPECT_EQ(message->mapped(), std::nullopt);
    EXPECT_EQ(message->unknown().types().size(), 3u);  // those before it
}

TEST(StunMessage, TheStrongerIntegrityMayFollowTheOther) {
    const Bytes weak = stun_vector("rfc5769-long-term");
    std::array<uint8_t, 256> buffer{};
    std::ranges::copy(weak, buffer.begin());
    const size_t at = weak.size();
    const Bytes head = *from_hex("001c0020");
    std::ranges::copy(head, buffer.begin() + static_cast<ptrdiff_t>(at));
    const size_t size = at + 4 + kSha256Size;
    buffer[3] = static_cast<uint8_t>(size - kHeaderSize);
    const auto mac = integrity_sha256({buffer.data(), size}, at, kSha256Size, as_bytes("key"));
    std::ranges::copy(mac, buffer.begin() + static_cast<ptrdiff_t>(at) + 4);
    const auto message = Message::parse({buffer.data(), size});
    ASSERT_TRUE(message);
    EXPECT_TRUE(message->is_authentic(as_bytes("key")));
    EXPECT_TRUE(message->is_authentic_sha1(long_term_key(EVP_md5())));
}

TEST(StunMessage, TransactionsDiffer) { EXPECT_NE(random_transaction(), random_transaction()); }

}  // namespace
}  // namespace cvlan::stun
