// SPDX-License-Identifier: Apache-2.0
#include "stun/builder.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/support/stun_vectors.h"

namespace cvlan::stun {
namespace {

using Buffer = std::array<uint8_t, kMostMessage>;

const TransactionId kTransaction{0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
const std::string kName(32, 'a');
const std::string kKey(32, 'k');

TEST(StunBuilder, WritesTheAnswersOfRfc5769) {
    // Up to their integrity, which is SHA-1: type, software, address. The length counts less.
    for (const std::string name : {"rfc5769-response-v4", "rfc5769-response-v6"}) {
        const Bytes vector = tests::stun_vector(name);
        const auto read = Message::parse(vector);
        Buffer buffer;
        const auto built = Builder(buffer, Class::Success, Method::Binding, kTransaction)
                               .software("test vector")
                               .mapped(*read->mapped())
                               .finish();
        ASSERT_TRUE(built);
        Bytes expected(vector.begin(), vector.begin() + static_cast<ptrdiff_t>(built->size()));
        expected[3] = static_cast<uint8_t>(built->size() - kHeaderSize);
        expected[35] = 0;  // padding
        EXPECT_EQ(hex(*built), hex(expected));
    }
}

TEST(StunBuilder, ABindIsReadAsItWasWritten) {
    Buffer buffer;
    const auto built = Builder(buffer, Class::Request, Method::Bind, kTransaction)
                           .username(kName)
                           .integrity(as_bytes(kKey))
                           .fingerprint()
                           .finish();
    ASSERT_TRUE(built);
    EXPECT_EQ(hex(built->first(2)), "028a");
    const auto message = Message::parse(*built);
    ASSERT_TRUE(message) << message.error().message;
    EXPECT_TRUE(message->is(Class::Request, Method::Bind));
    EXPECT_EQ(message->transaction(), kTransaction);
    EXPECT_EQ(message->username(), kName);
    EXPECT_TRUE(message->has_fingerprint());
    EXPECT_TRUE(message->is_authentic(as_bytes(kKey)));
    EXPECT_FALSE(message->is_authentic(as_bytes(kName)));
}

TEST(StunBuilder, EveryMessageComesBack) {
    EXPECT_TRUE(rc::check([](const TransactionId& transaction, bool is_v6, uint16_t port) {
        const auto method = static_cast<Method>(*rc::gen::inRange(0, 0x1000));
        const auto message_class = static_cast<Class>(*rc::gen::inRange(0, 4));
        const auto bytes =
            *rc::gen::container<Bytes>(is_v6 ? 16 : 4, rc::gen::arbitrary<uint8_t>());
        const Endpoint mapped{Address::from_bytes(bytes).value(), port};
        const auto name = *rc::gen::container<std::string>(*rc::gen::inRange<size_t>(0, 60),
                                                           rc::gen::arbitrary<char>());
        const auto key = *rc::gen::container<Bytes>(*rc::gen::inRange<size_t>(1, 80),
                                                    rc::gen::arbitrary<uint8_t>());
        const ErrorCode error{*rc::gen::inRange<uint16_t>(300, 700), name};
        const auto types = *rc::gen::container<std::vector<uint16_t>>(
            *rc::gen::inRange<size_t>(0, 9), rc::gen::arbitrary<uint16_t>());
        const bool has_integrity = *rc::gen::arbitrary<bool>();
        const bool has_fingerprint = *rc::gen::arbitrary<bool>();

        Buffer buffer;
        Builder builder(buffer, message_class, method, transaction);
        builder.username(name).nonce(name).mapped(mapped).software(name).error(error).refused(
            types);
        if (has_integrity) builder.integrity(key);
        if (has_fingerprint) builder.fingerprint();
        const auto built = builder.finish();
        RC_ASSERT(built.has_value());
        const auto read = Message::parse(*built);
        RC_ASSERT(read.has_value());
        RC_ASSERT(read->is(message_class, method));
        RC_ASSERT(read->transaction() == transaction);
        RC_ASSERT(read->mapped() == mapped);
        RC_ASSERT(read->username() == name);
        RC_ASSERT(read->nonce() == name);
        RC_ASSERT(read->software() == name);
        RC_ASSERT(read->error_code() == error);
        RC_ASSERT(std::ranges::equal(read->refused().types(), types));
        RC_ASSERT(read->unknown().empty());
        RC_ASSERT(read->has_integrity() == has_integrity);
        RC_ASSERT(read->has_fingerprint() == has_fingerprint);
        RC_ASSERT(read->is_authentic(key) == has_integrity);
        Bytes other = key;
        other[0] ^= 1;
        RC_ASSERT(!read->is_authentic(other));
    }));
}

TEST(StunBuilder, ABufferThatIsTooSmallIsNoticedAndNotLeft) {
    Buffer whole;
    const auto build = [](std::span<uint8_t> buffer) {
        return Builder(buffer, Class::Error, Method::Bind, kTransaction)
            .error({401, "Unauthenticated"})
            .software("x")
            .refused(std::array<uint16_t, 1>{0x7F00})
            .mapped({*Address::parse("2001:db8::1"), 1})
            .username(kName)
            .integrity(as_bytes(kKey))
            .fingerprint()
            .finish();
    };
    const auto built = build(whole);
    ASSERT_TRUE(built);
    for (size_t size = 0; size < built->size(); ++size) {
        Bytes small(size);
        const auto cut = build(small);
        ASSERT_FALSE(cut) << size;
        EXPECT_EQ(cut.error().code, Code::TooLarge);
    }
    Bytes exact(built->size());
    EXPECT_TRUE(build(exact));
}

TEST(StunBuilder, ABindingRequestIsAsLargeAsTheLargestAnswer) {
    Buffer request_buffer, answer_buffer;
    const auto request = binding_request(request_buffer, kTransaction);
    EXPECT_EQ(request.size(), kBindingRequestSize);
    const auto read = Message::parse(request);
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->is(Class::Request, Method::Binding));
    EXPECT_TRUE(read->has_fingerprint());
    EXPECT_TRUE(read->unknown().empty());
    const auto answer = Builder(answer_buffer, Class::Success, Method::Binding, kTransaction)
                            .mapped({*Address::parse("2001:db8::1"), 51820})
                            .fingerprint()
                            .finish();
    EXPECT_EQ(answer->size(), kMostBindingAnswer);
    EXPECT_LE(answer->size(), request.size());
}

}  // namespace
}  // namespace cvlan::stun
