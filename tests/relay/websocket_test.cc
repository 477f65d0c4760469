// SPDX-License-Identifier: Apache-2.0
#include "relay/websocket.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace cvlan::relay {
namespace {

using Side = WebSocketSide;

struct Seen {
    Opcode opcode;
    std::string payload;
    bool operator==(const Seen&) const = default;
};

// What a reader gives of `stream` in pieces of `step` bytes: messages whole.
std::vector<Seen> read_all(WebSocketReader& reader, Bytes stream, size_t step) {
    std::vector<Seen> seen;
    std::string message;
    for (size_t at = 0; at < stream.size(); at += step) {
        reader.feed(std::span(stream).subspan(at, std::min(step, stream.size() - at)));
        WebSocketReader::Piece piece;
        while (reader.next(piece)) {
            const std::string text(as_text(piece.payload));
            if (piece.opcode != Opcode::Binary) {
                seen.push_back({piece.opcode, text});
                continue;
            }
            message += text;
            if (piece.ends_message) seen.push_back({Opcode::Binary, std::exchange(message, {})});
        }
    }
    return seen;
}

std::vector<Seen> read_by(Side side, const Bytes& stream) {
    WebSocketReader reader(side);
    return read_all(reader, stream, stream.size());
}

const Bytes kMask{0x37, 0xfa, 0x21, 0x3d};

void put(Bytes& out, Opcode opcode, std::string_view text, const Bytes& mask) {
    uint8_t head[kMostWebSocketHead];
    const size_t size = write_websocket_head(head, opcode, text.size(), mask);
    EXPECT_EQ(size, websocket_head_size(text.size(), !mask.empty()));
    out.insert(out.end(), head, head + size);
    const size_t at = out.size();
    out.insert(out.end(), text.begin(), text.end());
    if (!mask.empty()) mask_payload(std::span(out).subspan(at), mask);
}

// RFC 6455, sections 1.3 and 5.7.
TEST(WebSocket, DoesAsTheExamplesOfTheRfc) {
    EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    const Bytes hello{0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    EXPECT_EQ(read_by(Side::Server, hello), (std::vector<Seen>{{Opcode::Binary, "Hello"}}));
    const Bytes fragments{0x02, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f};
    EXPECT_EQ(read_by(Side::Client, fragments), (std::vector<Seen>{{Opcode::Binary, "Hello"}}));
    const Bytes ping{0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    EXPECT_EQ(read_by(Side::Client, ping), (std::vector<Seen>{{Opcode::Ping, "Hello"}}));
}

TEST(WebSocket, TakesAKeyOfSixteenBytesAlone) {
    EXPECT_TRUE(is_websocket_key("dGhlIHNhbXBsZSBub25jZQ=="));
    for (const char* wrong :
         {"", "dGhlIHNhbXBsZQ==", "not base64 at all..", "dGhlIHNhbXBsZSBub25jZQ"})
        EXPECT_FALSE(is_websocket_key(wrong)) << wrong;
}

RC_GTEST_PROP(WebSocket, ReadsWhatItWroteHoweverTheStreamIsCut, ()) {
    const auto texts =
        *rc::gen::container<std::vector<std::string>>(rc::gen::arbitrary<std::string>());
    const bool is_masked = *rc::gen::arbitrary<bool>();
    Bytes stream;
    std::vector<Seen> expected;
    for (const std::string& text : texts) {
        const auto opcode = *rc::gen::element(Opcode::Binary, Opcode::Ping, Opcode::Pong);
        const std::string payload = opcode == Opcode::Binary ? text : text.substr(0, kMostControl);
        put(stream, opcode, payload, is_masked ? kMask : Bytes{});
        expected.push_back({opcode, payload});
    }
    WebSocketReader reader(is_masked ? Side::Server : Side::Client);
    RC_ASSERT(read_all(reader, stream, *rc::gen::inRange<size_t>(1, 30)) == expected);
    RC_ASSERT(reader.error() == nullptr);
}

TEST(WebSocket, CarriesEachFormOfLength) {
    for (const size_t size : {size_t{0}, size_t{125}, size_t{126}, size_t{65535}, size_t{65536},
                              static_cast<size_t>(kMostMessage)}) {
        Bytes stream;
        const std::string text(size, 'x');
        put(stream, Opcode::Binary, text, kMask);
        WebSocketReader reader(Side::Server);
        EXPECT_EQ(read_all(reader, stream, 4097), (std::vector<Seen>{{Opcode::Binary, text}}))
            << size;
    }
}

TEST(WebSocket, TakesControlFramesBetweenFragments) {
    const Bytes stream{0x02, 0x01, 'a', 0x89, 0x01, 'p', 0x00, 0x00, 0x80, 0x01, 'b'};
    EXPECT_EQ(read_by(Side::Client, stream),
              (std::vector<Seen>{{Opcode::Ping, "p"}, {Opcode::Binary, "ab"}}));
}

struct Wrong {
    const char* what;
    Side side;
    Bytes stream;
    CloseStatus status;
};

TEST(WebSocket, RefusesWhatTheRfcForbids) {
    const auto protocol = CloseStatus::ProtocolError;
    const Wrong wrong[] = {
        {"an unmasked client", Side::Server, {0x82, 0x01, 'a'}, protocol},
        {"a masked server", Side::Client, {0x82, 0x81, 1, 2, 3, 4, 'a'}, protocol},
        {"a reserved bit", Side::Client, {0xc2, 0x01, 'a'}, protocol},
        {"text", Side::Client, {0x81, 0x01, 'a'}, CloseStatus::Unsupported},
        {"an unknown opcode", Side::Client, {0x83, 0x00}, protocol},
        {"an unknown control opcode", Side::Client, {0x8b, 0x00}, protocol},
        {"a ping in fragments", Side::Client, {0x09, 0x00}, protocol},
        {"a long ping", Side::Client, {0x89, 0x7e, 0x00, 0x7e}, protocol},
        {"a rest of nothing", Side::Client, {0x80, 0x00}, protocol},
        {"a message in a message", Side::Client, {0x02, 0x00, 0x82, 0x00}, protocol},
        {"a short length written long", Side::Client, {0x82, 0x7e, 0x00, 0x7d}, protocol},
        {"a middle length written long",
         Side::Client,
         {0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
         protocol},
        {"a negative length", Side::Client, {0x82, 0x7f, 0x80, 0, 0, 0, 0, 1, 0, 0}, protocol},
        {"a message above 1 MiB",
         Side::Client,
         {0x82, 0x7f, 0, 0, 0, 0, 0, 0x10, 0, 1},
         CloseStatus::TooBig},
        {"fragments above 1 MiB",
         Side::Client,
         {0x02, 0x01, 'a', 0x80, 0x7f, 0, 0, 0, 0, 0, 0x10, 0, 0},
         CloseStatus::TooBig},
        {"a close of one byte", Side::Client, {0x88, 0x01, 0x03}, protocol},
        {"a close with a code that is none", Side::Client, {0x88, 0x02, 0x03, 0xed}, protocol},
        {"a close whose reason is no text", Side::Client, {0x88, 0x03, 0x03, 0xe8, 0xff}, protocol},
    };
    for (const Wrong& one : wrong) {
        SCOPED_TRACE(one.what);
        for (const size_t step : {size_t{1}, one.stream.size()}) {
            WebSocketReader reader(one.side);
            read_all(reader, one.stream, step);
            EXPECT_NE(reader.error(), nullptr);
            EXPECT_EQ(reader.status(), one.status);
        }
    }
}

TEST(WebSocket, TakesAPoliteClose) {
    EXPECT_EQ(read_by(Side::Client, {0x88, 0x00}), (std::vector<Seen>{{Opcode::Close, ""}}));
    EXPECT_EQ(read_by(Side::Client, {0x88, 0x04, 0x03, 0xe8, 'o', 'k'}),
              (std::vector<Seen>{{Opcode::Close, "\x03\xe8ok"}}));
}

}  // namespace
}  // namespace cvlan::relay
