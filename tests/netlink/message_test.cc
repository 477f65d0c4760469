// SPDX-License-Identifier: Apache-2.0
#include "netlink/message.h"

#include <gtest/gtest.h>
#include <netlink/msg.h>
#include <rapidcheck.h>

#include "netlink/attr_reader.h"

namespace cvlan::netlink {
namespace {

AttrReader attributes_of(const Message& message) { return AttrReader(message.payload()); }

TEST(Message, HeaderTellsLengthSequenceAndPort) {
    Message message(7, NLM_F_ACK);
    message.put(1, uint32_t{5});
    const ByteView sealed = message.seal(42, 9);
    nlmsghdr head;
    std::memcpy(&head, sealed.data(), sizeof head);
    EXPECT_EQ(head.nlmsg_len, sealed.size());
    EXPECT_EQ(head.nlmsg_type, 7);
    EXPECT_EQ(head.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
    EXPECT_EQ(head.nlmsg_seq, 42u);
    EXPECT_EQ(head.nlmsg_pid, 9u);
}

TEST(Message, PadsEveryAttributeToFourBytes) {
    Message message(7, 0);
    message.put(1, uint8_t{1});
    message.put(2, uint16_t{2});
    message.put_flag(3);
    EXPECT_EQ(message.payload().size(), 8u + 8u + 4u);
}

TEST(Message, RefusesAnAttributeOverSixteenBits) {
    Message message(7, 0);
    message.put_bytes(1, Bytes(0xffff - NLA_HDRLEN));
    EXPECT_FALSE(message.error());
    message.put_bytes(1, Bytes(0xffff - NLA_HDRLEN + 1));
    ASSERT_TRUE(message.error());
    EXPECT_EQ(message.error()->code, Code::TooLarge);
}

TEST(Message, RefusesANestOverSixteenBits) {
    Message message(7, 0);
    message.nest(1, [](Message& nest) {
        for (int i = 0; i < 70; ++i) nest.put_bytes(1, Bytes(1000));
    });
    ASSERT_TRUE(message.error());
    EXPECT_EQ(message.error()->code, Code::TooLarge);
}

TEST(Message, RefusesTextWithANul) {
    Message message(7, 0);
    message.put_string(1, std::string_view("a\0b", 3));
    ASSERT_TRUE(message.error());
    EXPECT_EQ(message.error()->code, Code::Invalid);
}

TEST(Message, TruncateTakesBackWhatWasPut) {
    Message message(7, 0);
    message.put(1, uint32_t{1});
    const size_t before = message.size();
    message.put(2, uint32_t{2});
    message.truncate(before);
    AttrReader attrs = attributes_of(message);
    EXPECT_TRUE(attrs.next());
    EXPECT_FALSE(attrs.next());
}

TEST(Message, CopiesWhatLibnlBuilt) {
    nl_msg* built = nlmsg_alloc_simple(33, NLM_F_EXCL);
    nla_put_u32(built, 4, 77);
    const Message message = Message::from_libnl(built);
    nlmsg_free(built);
    EXPECT_EQ(message.type(), 33);
    EXPECT_EQ(message.flags(), NLM_F_REQUEST | NLM_F_EXCL);
    AttrReader attrs = attributes_of(message);
    ASSERT_TRUE(attrs.next());
    uint32_t value = 0;
    attrs.read(value);
    EXPECT_EQ(value, 77u);
}

TEST(AttrReader, ReadsNestsTextAndNumbers) {
    Message message(7, 0);
    message.nest(3, [](Message& nest) {
        nest.put_string(1, "wg0");
        nest.put(2, uint16_t{51820});
    });
    AttrReader attrs = attributes_of(message);
    ASSERT_TRUE(attrs.next());
    EXPECT_EQ(attrs.type(), 3);  // without the NESTED bit
    AttrReader nest = attrs.nested();
    std::string text;
    std::optional<uint16_t> port;
    ASSERT_TRUE(nest.next());
    nest.read(text);
    ASSERT_TRUE(nest.next());
    nest.read(port);
    EXPECT_FALSE(nest.next());
    EXPECT_FALSE(nest.error());
    EXPECT_EQ(text, "wg0");
    EXPECT_EQ(port, 51820);
}

TEST(AttrReader, KeepsTheFirstOfTwoErrors) {
    Message message(7, 0);
    message.put(1, uint8_t{1});
    message.put(2, uint8_t{1});
    AttrReader attrs = attributes_of(message);
    uint32_t value = 9;
    ASSERT_TRUE(attrs.next());
    attrs.read(value);
    const std::string first = attrs.error()->message;
    EXPECT_FALSE(attrs.next());
    attrs.read(value);
    attrs.fault("another");
    EXPECT_EQ(attrs.error()->message, first);
    EXPECT_EQ(attrs.error()->code, Code::Malformed);
    EXPECT_EQ(value, 9u);
}

Bytes raw_attr(uint16_t length, uint16_t type, size_t size) {
    Bytes bytes(size);
    std::memcpy(bytes.data(), &length, 2);
    std::memcpy(bytes.data() + 2, &type, 2);
    return bytes;
}

TEST(AttrReader, RejectsALengthShorterThanItsHead) {
    const Bytes bytes = raw_attr(3, 1, 8);
    AttrReader attrs(bytes);
    EXPECT_FALSE(attrs.next());
    EXPECT_TRUE(attrs.error());
}

TEST(AttrReader, RejectsALengthBeyondTheEnd) {
    const Bytes bytes = raw_attr(9, 1, 8);
    AttrReader attrs(bytes);
    EXPECT_FALSE(attrs.next());
    EXPECT_TRUE(attrs.error());
}

TEST(AttrReader, RejectsTrailingBytes) {
    const Bytes bytes(3);
    AttrReader attrs(bytes);
    EXPECT_FALSE(attrs.next());
    EXPECT_TRUE(attrs.error());
}

TEST(AttrReader, TakesALastAttributeWithoutPadding) {
    const Bytes bytes = raw_attr(5, 1, 5);
    AttrReader attrs(bytes);
    EXPECT_TRUE(attrs.next());
    EXPECT_EQ(attrs.payload().size(), 1u);
    EXPECT_FALSE(attrs.next());
    EXPECT_FALSE(attrs.error());
}

TEST(AttrReader, RejectsTextWithANulInside) {
    Message message(7, 0);
    message.put_bytes(1, as_bytes(std::string_view("a\0b", 3)));
    AttrReader attrs = attributes_of(message);
    std::string text;
    ASSERT_TRUE(attrs.next());
    attrs.read(text);
    EXPECT_TRUE(attrs.error());
}

TEST(AttrReader, TakesTextWithoutANul) {
    Message message(7, 0);
    message.put_bytes(1, as_bytes("lo"));
    AttrReader attrs = attributes_of(message);
    std::string text;
    ASSERT_TRUE(attrs.next());
    attrs.read(text);
    EXPECT_EQ(text, "lo");
}

TEST(AttrReader, AStructureMayBeLongerButNotShorter) {
    struct Pair {
        uint32_t a, b;
    };
    Message message(7, 0);
    message.put_bytes(1, Bytes(12));
    message.put_bytes(2, Bytes(7));
    AttrReader attrs = attributes_of(message);
    Pair pair{1, 1};
    ASSERT_TRUE(attrs.next());
    attrs.read_struct(pair);
    EXPECT_FALSE(attrs.error());
    EXPECT_EQ(pair.a, 0u);
    ASSERT_TRUE(attrs.next());
    attrs.read_struct(pair);
    EXPECT_TRUE(attrs.error());
}

TEST(AttrReader, AnErrorInsideANestIsTheReaders) {
    Message message(7, 0);
    message.put(1, uint32_t{1});
    AttrReader attrs = attributes_of(message);
    int out = 0;
    ASSERT_TRUE(attrs.next());
    attrs.read_nested(out, [](AttrReader) -> Result<int> { return fail(Code::Malformed, "bad"); });
    EXPECT_FALSE(attrs.next());
    EXPECT_EQ(attrs.error()->message, "bad");
    Secret<4> secret;
    AttrReader again = attributes_of(message);
    ASSERT_TRUE(again.next());
    again.read(secret);
    EXPECT_FALSE(again.error());
    EXPECT_FALSE(secret.empty());
}

TEST(AfterHeader, RejectsAMessageShorterThanTheHeader) {
    nlmsghdr head{};
    EXPECT_EQ(after_header(Bytes(15), head).error().code, Code::Malformed);
    EXPECT_TRUE(after_header(Bytes(16), head));
}

TEST(AttrReader, ReadsBackWhateverAMessageHolds) {
    EXPECT_TRUE(
        rc::check([](const std::vector<std::pair<uint16_t, std::vector<uint8_t>>>& written) {
            Message message(7, 0);
            for (const auto& [type, bytes] : written)
                message.put_bytes(type & NLA_TYPE_MASK, bytes);
            AttrReader attrs = attributes_of(message);
            for (const auto& [type, bytes] : written) {
                RC_ASSERT(attrs.next());
                RC_ASSERT(attrs.type() == (type & NLA_TYPE_MASK));
                RC_ASSERT(Bytes(attrs.payload().begin(), attrs.payload().end()) == bytes);
            }
            RC_ASSERT(!attrs.next());
            RC_ASSERT(!attrs.error());
        }));
}

TEST(AttrReader, NeverLeavesTheBytesGiven) {
    EXPECT_TRUE(rc::check([](const std::vector<uint8_t>& bytes) {
        AttrReader attrs{ByteView(bytes)};
        size_t seen = 0;
        while (attrs.next()) {
            seen += NLA_HDRLEN + attrs.payload().size();
            RC_ASSERT(attrs.payload().data() + attrs.payload().size() <=
                      bytes.data() + bytes.size());
        }
        RC_ASSERT(seen <= bytes.size());
    }));
}

}  // namespace
}  // namespace cvlan::netlink
