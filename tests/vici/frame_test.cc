// SPDX-License-Identifier: Apache-2.0
#include "vici/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace cvlan::vici {
namespace {

using namespace std::string_view_literals;

Bytes segment(ByteView body) {
    Bytes out;
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<uint8_t>(body.size() >> shift));
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

// The segments of `stream` as a reader gives them that is fed pieces of `step` bytes.
std::vector<Bytes> read_all(FrameReader& reader, ByteView stream, size_t step) {
    std::vector<Bytes> seen;
    for (size_t at = 0; at < stream.size(); at += step) {
        reader.feed(stream.subspan(at, std::min(step, stream.size() - at)));
        ByteView frame;
        while (reader.next(frame)) seen.emplace_back(frame.begin(), frame.end());
    }
    return seen;
}

RC_GTEST_PROP(ViciFrames, AreTheSameHoweverTheStreamIsCut, ()) {
    const auto bodies =
        *rc::gen::container<std::vector<Bytes>>(rc::gen::nonEmpty(rc::gen::arbitrary<Bytes>()));
    Bytes stream;
    for (const Bytes& body : bodies) {
        const Bytes one = segment(body);
        stream.insert(stream.end(), one.begin(), one.end());
    }
    FrameReader reader;
    RC_ASSERT(read_all(reader, stream, *rc::gen::inRange<size_t>(1, 40)) == bodies);
    RC_ASSERT(reader.error() == nullptr);
    RC_ASSERT(reader.is_between());
}

TEST(ViciFrames, AreReadByteByByteAndTwoAtATime) {
    Bytes stream = segment(as_bytes("one"));
    const Bytes second = segment(as_bytes("second"));
    stream.insert(stream.end(), second.begin(), second.end());
    for (const size_t step : {size_t{1}, stream.size()}) {
        FrameReader reader;
        const auto seen = read_all(reader, stream, step);
        ASSERT_EQ(seen.size(), 2u);
        EXPECT_EQ(as_text(seen[0]), "one");
        EXPECT_EQ(as_text(seen[1]), "second");
    }
}

TEST(ViciFrames, AreAtMost512KiBLong) {
    FrameReader reader;
    const Bytes longest = segment(Bytes(512 * 1024, 1));
    EXPECT_EQ(read_all(reader, longest, 16 * 1024).size(), 1u);
    EXPECT_TRUE(reader.is_between());
    const Bytes longer = segment(Bytes(512 * 1024 + 1, 1));
    EXPECT_TRUE(read_all(reader, longer, 16 * 1024).empty());
    EXPECT_STREQ(reader.error(), "a VICI segment is too long");
}

TEST(ViciFrames, EndForGoodAtALengthThatCanNotBe) {
    const Bytes good = segment(as_bytes("good"));
    for (const std::string_view head : {"\0\0\0\0"sv, "\0\x08\0\x01"sv, "\xff\xff\xff\xff"sv}) {
        for (const size_t step : {size_t{1}, size_t{4096}}) {
            Bytes stream = good;
            stream.insert(stream.end(), head.begin(), head.end());
            stream.insert(stream.end(), good.begin(), good.end());
            FrameReader reader;
            EXPECT_EQ(read_all(reader, stream, step).size(), 1u);
            EXPECT_NE(reader.error(), nullptr);
            EXPECT_FALSE(reader.is_between());
        }
    }
}

TEST(ViciFrames, ALengthThatIsOnlyAnnouncedIsWaitedFor) {
    FrameReader reader;
    EXPECT_TRUE(read_all(reader, as_bytes("\0\x08\0\0x"sv), 5).empty());
    EXPECT_EQ(reader.error(), nullptr);
    EXPECT_FALSE(reader.is_between());
}

TEST(ViciFrames, AreOverAsSoonAsTheirLastByteWasGiven) {
    const Bytes whole = segment(as_bytes("abc"));
    FrameReader reader;
    ByteView frame;
    reader.feed(ByteView(whole).first(5));
    EXPECT_FALSE(reader.next(frame));
    EXPECT_FALSE(reader.is_between());
    const Bytes rest(whole.begin() + 5, whole.end());
    reader.feed(rest);
    ASSERT_TRUE(reader.next(frame));
    EXPECT_TRUE(reader.is_between());
    const Bytes more = {'b', 'c', 0};
    reader = {};
    reader.feed(ByteView(whole).first(5));
    EXPECT_FALSE(reader.next(frame));
    reader.feed(more);
    ASSERT_TRUE(reader.next(frame));
    EXPECT_FALSE(reader.is_between());
}

TEST(ViciPackets, AreWrittenAsTheReadmeSays) {
    Message message;
    message.put("k", "v");
    const auto request = encode_packet(PacketType::CommandRequest, "version", message).value();
    EXPECT_EQ(as_text(request), "\0\0\0\x0f\0\x07version\x03\x01k\0\x01v"sv);
    const auto wanted = encode_packet(PacketType::EventRegister, "log", {}).value();
    EXPECT_EQ(as_text(wanted), "\0\0\0\x05\x03\x03log"sv);
    const auto confirmed = encode_packet(PacketType::EventConfirm, {}, {}).value();
    EXPECT_EQ(as_text(confirmed), "\0\0\0\x01\x05"sv);
}

TEST(ViciPackets, ReadBackAsTheyWereWritten) {
    Message message;
    message.put("k", "v");
    const std::pair<PacketType, std::string_view> kinds[] = {
        {PacketType::CommandRequest, "a"},  {PacketType::CommandResponse, ""},
        {PacketType::CommandUnknown, ""},   {PacketType::EventRegister, "b"},
        {PacketType::EventUnregister, "c"}, {PacketType::EventConfirm, ""},
        {PacketType::EventUnknown, ""},     {PacketType::Event, "d"},
    };
    for (const auto& [type, name] : kinds) {
        const WipedBytes bytes = encode_packet(type, name, message).value();
        const auto packet = parse_packet(ByteView(bytes).subspan(kFrameHead));
        ASSERT_TRUE(packet) << packet.error().message;
        EXPECT_EQ(packet->type, type);
        EXPECT_EQ(packet->name, name);
        const bool has_message = type == PacketType::CommandRequest ||
                                 type == PacketType::CommandResponse || type == PacketType::Event;
        EXPECT_EQ(Message::parse(packet->message).value(), has_message ? message : Message());
    }
}

TEST(ViciPackets, RefuseWhatCanNotBe) {
    for (const std::string_view bad :
         {""sv, "\x08"sv, "\xff"sv, "\x07"sv, "\x07\0"sv, "\x07\x05list"sv, "\0"sv, "\x03\0"sv,
          "\x02x"sv, "\x05x"sv, "\x06x"sv, "\x03\x01lx"sv, "\x04\x01lx"sv}) {
        const auto packet = parse_packet(as_bytes(bad));
        ASSERT_FALSE(packet) << hex(as_bytes(bad));
        EXPECT_EQ(packet.error().code, Code::Malformed);
    }
}

TEST(ViciPackets, AreNotWrittenWithoutANameOrTooLong) {
    EXPECT_FALSE(encode_packet(PacketType::CommandRequest, "", {}));
    EXPECT_FALSE(encode_packet(PacketType::CommandRequest, std::string(256, 'n'), {}));
    EXPECT_FALSE(encode_packet(PacketType::CommandResponse, "name", {}));
    EXPECT_TRUE(encode_packet(PacketType::CommandRequest, std::string(255, 'n'), {}));
    // A message that fits alone, and not beside its packet's name.
    Message message;
    for (int i = 0; i < 8; ++i) message.put(std::to_string(i), std::string(65500, 'v'));
    message.put("8", std::string(kMostMessage - 8 * 65505 - 5 - 100, 'v'));
    ASSERT_TRUE(message.encode());
    EXPECT_TRUE(encode_packet(PacketType::CommandResponse, "", message));
    EXPECT_EQ(
        encode_packet(PacketType::CommandRequest, std::string(200, 'n'), message).error().code,
        Code::Invalid);
}

}  // namespace
}  // namespace cvlan::vici
