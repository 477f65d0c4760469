// SPDX-License-Identifier: Apache-2.0
#include "vici/message.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace cvlan::vici {
namespace {

// The example of the protocol's own documentation.
Message example() {
    Message sub;
    sub.put("key2", "value2");
    Message section;
    section.put_section("sub-section", std::move(sub));
    section.put_list("list1", std::vector<std::string>{"item1", "item2"});
    Message message;
    message.put("key1", "value1");
    message.put_section("section1", std::move(section));
    return message;
}

Bytes bytes_of(std::initializer_list<std::string_view> parts) {
    Bytes out;
    for (const std::string_view part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}

using namespace std::string_view_literals;

Bytes example_bytes() {
    return bytes_of({"\x03\x04key1\0\x06value1"sv, "\x01\x08section1"sv, "\x01\x0bsub-section"sv,
                     "\x03\x04key2\0\x06value2"sv, "\x02"sv, "\x04\x05list1"sv, "\x05\0\x05item1"sv,
                     "\x05\0\x05item2"sv, "\x06\x02"sv});
}

Bytes plain(const WipedBytes& bytes) { return {bytes.begin(), bytes.end()}; }

Message nested(size_t depth) {
    Message message;
    message.put("leaf", "1");
    for (size_t i = 0; i < depth; ++i) {
        Message outer;
        outer.put_section("s", std::move(message));
        message = std::move(outer);
    }
    return message;
}

// Names that differ within a section, of each kind of element.
Message arbitrary_message(size_t depth) {
    Message message;
    const auto count = *rc::gen::inRange<size_t>(0, 5);
    for (size_t i = 0; i < count; ++i) {
        const std::string name = std::to_string(i) + *rc::gen::arbitrary<std::string>();
        const std::string cut = name.substr(0, kMostName);
        const int kind = *rc::gen::inRange(0, depth > 0 ? 3 : 2);
        if (kind == 0) message.put(cut, ByteView(*rc::gen::arbitrary<Bytes>()));
        if (kind == 1) {
            List items;
            for (const Bytes& item : *rc::gen::arbitrary<std::vector<Bytes>>())
                items.emplace_back(item.begin(), item.end());
            message.put_list(cut, std::move(items));
        }
        if (kind == 2) message.put_section(cut, arbitrary_message(depth - 1));
    }
    return message;
}

RC_GTEST_PROP(Message, ReadsBackWhatItWrote, ()) {
    const Message message = arbitrary_message(4);
    const auto bytes = message.encode();
    RC_ASSERT(bytes.has_value());
    const auto again = Message::parse(*bytes);
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == message);
}

RC_GTEST_PROP(Message, WritesAgainWhatItRead, (const Bytes& junk)) {
    // Mostly refused; a byte of the alphabet in each place makes some that are taken.
    Bytes bytes;
    for (const uint8_t byte : junk) bytes.push_back(static_cast<uint8_t>(byte % 8));
    const auto message = Message::parse(bytes);
    if (!message) return;
    RC_ASSERT(plain(message->encode().value()) == bytes);
}

TEST(Message, IsWrittenAsTheProtocolsExample) {
    EXPECT_EQ(plain(example().encode().value()), example_bytes());
    EXPECT_EQ(Message::parse(example_bytes()).value(), example());
}

TEST(Message, GivesWhatIsAskedForByNameAndKind) {
    const Message message = example();
    EXPECT_EQ(message.text("key1"), "value1");
    ASSERT_NE(message.section("section1"), nullptr);
    const List* items = message.section("section1")->list("list1");
    ASSERT_NE(items, nullptr);
    EXPECT_EQ(text_of((*items)[1]), "item2");
    EXPECT_EQ(message.text("section1"), std::nullopt);
    EXPECT_EQ(message.section("key1"), nullptr);
    EXPECT_EQ(message.list("absent"), nullptr);
}

TEST(Message, KnowsOrderAndContent) {
    Message one, other;
    one.put("a", "1").put("b", "2");
    other.put("b", "2").put("a", "1");
    EXPECT_FALSE(one == other);
    EXPECT_TRUE(one == Message(one));
}

TEST(Message, EveryCutOfAGoodOneIsRefusedOrWithoutItsEnd) {
    const Bytes whole = example_bytes();
    for (size_t size = 0; size < whole.size(); ++size) {
        const auto cut = Message::parse(ByteView(whole).first(size));
        // Between two elements of the root a message may end: it has no length of its own.
        const bool may_end = size == 0 || size == 14;
        EXPECT_EQ(cut.has_value(), may_end) << size;
        if (!cut) {
            EXPECT_EQ(cut.error().code, Code::Malformed);
        }
    }
}

TEST(Message, RefusesWhatIsUnbalancedOrUnknown) {
    const std::pair<const char*, Bytes> cases[] = {
        {"ends a section that did not begin", bytes_of({"\x02"sv})},
        {"ends within a section", bytes_of({"\x01\x01s"sv})},
        {"ends a section that did not begin", bytes_of({"\x01\x01s\x02\x02"sv})},
        {"ends a list that did not begin", bytes_of({"\x06"sv})},
        {"has an item outside of a list", bytes_of({"\x05\0\x01x"sv})},
        {"ends too early", bytes_of({"\x04\x01l\x05\0\x01x"sv})},
        {"has something else than an item in a list", bytes_of({"\x04\x01l\x04\x01l\x06\x06"sv})},
        {"has something else than an item in a list", bytes_of({"\x04\x01l\x01\x01s\x02\x06"sv})},
        {"has something else than an item in a list", bytes_of({"\x04\x01l\x03\x01k\0\0\x06"sv})},
        {"has something else than an item in a list", bytes_of({"\x01\x01s\x04\x01l\x02"sv})},
        {"has an empty name", bytes_of({"\x01\0\x02"sv})},
        {"has an empty name", bytes_of({"\x03\0\0\x01x"sv})},
        {"has an empty name", bytes_of({"\x04\0\x06"sv})},
        {"ends too early", bytes_of({"\x03\xffshort"sv})},
        {"ends too early", bytes_of({"\x03\x01k\xff\xffshort"sv})},
        {"ends too early", bytes_of({"\x03\x01k\0"sv})},
        {"has an element of an unknown type", bytes_of({"\0"sv})},
        {"has an element of an unknown type", bytes_of({"\x07"sv})},
        {"has an element of an unknown type", bytes_of({"\xff"sv})},
        {"has a name twice in a section", bytes_of({"\x03\x01k\0\0\x03\x01k\0\0"sv})},
        {"has a name twice in a section", bytes_of({"\x03\x01k\0\0\x01\x01k\x02"sv})},
        {"has a name twice in a section", bytes_of({"\x01\x01s\x04\x01l\x06\x04\x01l\x06\x02"sv})},
    };
    for (const auto& [why, bytes] : cases) {
        const auto message = Message::parse(bytes);
        ASSERT_FALSE(message) << why;
        EXPECT_EQ(message.error().code, Code::Malformed);
        EXPECT_NE(message.error().message.find(why), std::string::npos) << message.error().message;
    }
}

TEST(Message, TakesTheLongestNameAndValueAndNoLongerOnes) {
    Message good;
    good.put(std::string(255, 'n'), std::string(65535, 'v'));
    EXPECT_EQ(Message::parse(good.encode().value()).value(), good);
    Message long_name, long_value, no_name;
    long_name.put(std::string(256, 'n'), "v");
    long_value.put("n", std::string(65536, 'v'));
    no_name.put_list("", List{});
    for (const Message* bad : {&long_name, &long_value, &no_name})
        EXPECT_EQ(bad->encode().error().code, Code::Invalid);
}

TEST(Message, TakesSixteenLevelsAndNoMore) {
    EXPECT_EQ(Message::parse(nested(16).encode().value()).value(), nested(16));
    EXPECT_EQ(nested(17).encode().error().code, Code::Invalid);
    Bytes deep;
    for (int i = 0; i < 17; ++i) deep.insert(deep.end(), {1, 1, 's'});
    for (int i = 0; i < 17; ++i) deep.push_back(2);
    EXPECT_NE(Message::parse(deep).error().message.find("is too deep"), std::string::npos);
}

TEST(Message, IsNoLongerThanASegment) {
    Message message;
    for (int i = 0; i < 9; ++i) message.put(std::to_string(i), std::string(60000, 'v'));
    EXPECT_EQ(message.encode().error().code, Code::Invalid);
    Bytes bytes(kMostMessage + 1);
    EXPECT_NE(Message::parse(bytes).error().message.find("is too long"), std::string::npos);
}

TEST(Message, DoesNotWriteANameTwice) {
    Message message;
    message.put("k", "1").put("k", "2");
    EXPECT_EQ(message.encode().error().code, Code::Invalid);
}

TEST(Message, TwentyThousandNamesAreComparedInNoTime) {
    // By pairs it would be 200 million comparisons, which ASan makes a minute.
    Bytes bytes;
    for (int i = 0; i < 20000; ++i) {
        const auto byte = [i](int shift) { return static_cast<uint8_t>(i >> shift); };
        bytes.insert(bytes.end(), {1, 3, byte(16), byte(8), byte(0), 2});
    }
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message) << message.error().message;
    EXPECT_EQ(message->elements().size(), 20000u);
}

TEST(MessageDump, IsOneLineAndPrintable) {
    EXPECT_EQ(example().dump(),
              "{key1=value1 section1={sub-section={key2=value2} list1=[item1 item2]}}");
    Message message;
    message.put("k\n", "a\x1b[31m\nb");
    message.put("raw", ByteView(Bytes{0xff, 0xfe}));
    EXPECT_EQ(message.dump(), "{k?=a?[31m?b raw=<2 bytes>}");
    EXPECT_EQ(Message().dump(), "{}");
}

TEST(MessageDump, ShowsNoSecret) {
    Message inner;
    inner.put("passphrase", "hunter2").put("id", "a");
    Message message;
    message.put("type", "IKE")
        .put("data", "hunter2")
        .put("secret", "hunter2")
        .put("pin", "hunter2");
    message.put_list("data", std::vector<std::string>{"hunter2"}).put_section("s", inner);
    EXPECT_EQ(message.dump(),
              "{type=IKE data=*** secret=*** pin=*** data=*** s={passphrase=*** id=a}}");
}

TEST(MessageDump, IsCutWhereItIsLong) {
    Message message;
    for (int i = 0; i < 1000; ++i) message.put("é" + std::to_string(i), "éééé");
    const std::string dump = message.dump();
    EXPECT_LE(dump.size(), Message::kMostDump);
    EXPECT_TRUE(is_utf8(dump));
    EXPECT_TRUE(dump.ends_with("..."));
    Message list;
    list.put_list("l", std::vector<std::string>(5000, "item"));
    EXPECT_LE(list.dump().size(), Message::kMostDump);
}

}  // namespace
}  // namespace cvlan::vici
