// SPDX-License-Identifier: Apache-2.0
#include "relay/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace cvlan::relay {
namespace {

struct Seen {
    FrameType type;
    Bytes body;
    bool operator==(const Seen&) const = default;
};

// The frames of `stream` as a reader gives them that is fed pieces of `step` bytes.
std::vector<Seen> read_all(FrameReader& reader, ByteView stream, size_t step) {
    std::vector<Seen> seen;
    for (size_t at = 0; at < stream.size(); at += step) {
        reader.feed(stream.subspan(at, std::min(step, stream.size() - at)));
        Frame frame;
        while (reader.next(frame))
            seen.push_back({frame.type, {frame.body.begin(), frame.body.end()}});
    }
    return seen;
}

Key key_of(uint8_t first) {
    Key key;
    key.writable()[0] = first;
    key.writable()[31] = 0xee;
    return key;
}

Bytes one_frame(FrameType type, const Bytes& body) {
    Bytes out(kFrameHead);
    write_head(out.data(), type, body.size());
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

Frame only_frame(FrameReader& reader, ByteView stream) {
    reader.feed(stream);
    Frame frame;
    EXPECT_TRUE(reader.next(frame));
    return frame;
}

RC_GTEST_PROP(FrameReader, GivesTheSameFramesHoweverTheStreamIsCut, ()) {
    const auto bodies = *rc::gen::container<std::vector<Bytes>>(rc::gen::arbitrary<Bytes>());
    Bytes stream;
    std::vector<Seen> expected;
    for (const Bytes& body : bodies) {
        const auto type = static_cast<FrameType>(*rc::gen::inRange(0, 256));
        const Bytes frame = one_frame(type, body);
        stream.insert(stream.end(), frame.begin(), frame.end());
        expected.push_back({type, body});
    }
    FrameReader reader;
    RC_ASSERT(read_all(reader, stream, *rc::gen::inRange<size_t>(1, 40)) == expected);
    RC_ASSERT(reader.error() == nullptr);
    RC_ASSERT(reader.is_between());
}

TEST(FrameReader, TakesTheLongestFrameAndNoLongerOne) {
    FrameReader reader;
    const Bytes longest = one_frame(FrameType::Send, Bytes(kMostBody));
    EXPECT_EQ(read_all(reader, longest, 16 * 1024).size(), 1u);
    Bytes longer = longest;
    write_head(longer.data(), FrameType::Send, kMostBody + 1);
    EXPECT_TRUE(read_all(reader, longer, 16 * 1024).empty());
    EXPECT_NE(reader.error(), nullptr);
}

TEST(FrameReader, StopsForGoodAfterAFrameThatIsTooLong) {
    for (const size_t step : {size_t{1}, size_t{4096}}) {
        FrameReader reader;
        Bytes stream = one_frame(FrameType::Ping, Bytes(8));
        Bytes bad(kFrameHead);
        write_head(bad.data(), FrameType::Ping, 0x7fffffff);
        stream.insert(stream.end(), bad.begin(), bad.end());
        const Bytes good = one_frame(FrameType::Ping, Bytes(8));
        stream.insert(stream.end(), good.begin(), good.end());
        EXPECT_EQ(read_all(reader, stream, step).size(), 1u);
        EXPECT_NE(reader.error(), nullptr);
    }
}

TEST(FrameReader, KnowsWhetherItIsBetweenTwoFrames) {
    FrameReader reader;
    EXPECT_TRUE(reader.is_between());
    const Bytes ping = one_frame(FrameType::Ping, Bytes(8));
    Frame frame;
    reader.feed(ByteView(ping).first(3));
    EXPECT_FALSE(reader.next(frame));
    EXPECT_FALSE(reader.is_between());
    reader.feed(ByteView(ping).subspan(3));
    EXPECT_TRUE(reader.next(frame));
    EXPECT_FALSE(reader.next(frame));
    EXPECT_TRUE(reader.is_between());
}

TEST(Frames, AreWrittenAsTheReadmeSays) {
    Bytes out;
    put_key(out, FrameType::Granted, key_of(7));
    ASSERT_EQ(out.size(), 5u + 32u);
    EXPECT_EQ(Bytes(out.begin(), out.begin() + 6), (Bytes{0x03, 0, 0, 0, 32, 7}));
    out.clear();
    put_peer_gone(out, {key_of(9), Gone::NotHere});
    ASSERT_EQ(out.size(), 5u + 33u);
    EXPECT_EQ(out.back(), 1);
    out.clear();
    put_hello(out, {kVersion1, {*Endpoint::parse("192.0.2.1:3478")}});
    EXPECT_EQ(out, (Bytes{0x01, 0, 0, 0, 9, 1, 0, 4, 192, 0, 2, 1, 0x0d, 0x96}));
    out.clear();
    put_refusal(out, {Fault::Limit, "no"});
    EXPECT_EQ(out, (Bytes{0x0f, 0, 0, 0, 3, 3, 'n', 'o'}));
}

TEST(Frames, ReadBackWhatWasWritten) {
    FrameReader reader;
    Bytes out;
    const PairOf pair{key_of(1), key_of(2)};
    const auto v6 = *Address::parse("2001:db8::1");

    put_hello(out, {kVersion1, {*Endpoint::parse("192.0.2.1:3478"), {v6, 443}}});
    const auto hello = parse_hello(only_frame(reader, out).body);
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->version, 1);
    ASSERT_EQ(hello->stun.size(), 2u);
    EXPECT_EQ(hello->stun[1], (Endpoint{v6, 443}));

    Offer offer{pair, {}, {}, 50000, {*Address::parse("192.0.2.1"), v6}};
    offer.bind_id.fill(0xab);
    offer.secret.writable()[31] = 5;
    out.clear();
    put_offer(out, offer);
    const auto offered = parse_offer(only_frame(reader, out).body);
    ASSERT_TRUE(offered);
    EXPECT_EQ(offered->pair.own, pair.own);
    EXPECT_EQ(offered->pair.peer, pair.peer);
    EXPECT_EQ(offered->bind_id, offer.bind_id);
    EXPECT_TRUE(offered->secret == offer.secret);
    EXPECT_EQ(offered->port, 50000);
    EXPECT_EQ(offered->addresses, offer.addresses);

    out.clear();
    put_ready(out, {pair, {v6, 50000}});
    const auto ready = parse_ready(only_frame(reader, out).body);
    ASSERT_TRUE(ready);
    EXPECT_EQ(ready->at, (Endpoint{v6, 50000}));

    out.clear();
    put_unpair(out, {pair, Unpaired::Silent});
    const auto unpair = parse_unpair(only_frame(reader, out).body);
    ASSERT_TRUE(unpair);
    EXPECT_EQ(unpair->reason, Unpaired::Silent);
    EXPECT_EQ(unpair->pair.peer, pair.peer);

    out.clear();
    put_refusal(out, {Fault::Barred, "gone"});
    const auto refusal = parse_refusal(only_frame(reader, out).body);
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->code, Fault::Barred);
    EXPECT_EQ(refusal->text, "gone");
}

RC_GTEST_PROP(Frames, CarryAnyPacketToAnyKey, (const Bytes& payload)) {
    const Bytes key = *rc::gen::container<Bytes>(32, rc::gen::arbitrary<uint8_t>());
    Bytes out;
    put_packet(out, FrameType::Recv, {key, payload});
    FrameReader reader;
    reader.feed(out);
    Frame frame;
    RC_ASSERT(reader.next(frame));
    RC_ASSERT(frame.type == FrameType::Recv);
    const auto packet = parse_packet(frame.body);
    RC_ASSERT(packet.has_value());
    RC_ASSERT(std::ranges::equal(packet->key, key));
    RC_ASSERT(std::ranges::equal(packet->payload, payload));
}

TEST(Frames, CutShortAreMalformed) {
    const auto is_malformed = [](const auto& parsed) {
        return !parsed && parsed.error().code == Code::Malformed;
    };
    const Bytes none;
    EXPECT_TRUE(is_malformed(parse_hello(Bytes{1})));
    EXPECT_TRUE(is_malformed(parse_key(Bytes(31))));
    EXPECT_TRUE(is_malformed(parse_packet(Bytes(31))));
    EXPECT_TRUE(is_malformed(parse_ping(Bytes(7))));
    EXPECT_TRUE(is_malformed(parse_peer_gone(Bytes(32))));
    EXPECT_TRUE(is_malformed(parse_pair(Bytes(63))));
    EXPECT_TRUE(is_malformed(parse_offer(Bytes(64 + 16 + 32 + 1))));
    EXPECT_TRUE(is_malformed(parse_ready(Bytes(64))));
    EXPECT_TRUE(is_malformed(parse_unpair(Bytes(64))));
    EXPECT_TRUE(is_malformed(parse_refusal(none)));
}

TEST(Frames, WithAFamilyThatIsNoneAreMalformed) {
    EXPECT_FALSE(parse_hello(Bytes{1, 0, 5, 192, 0, 2, 1, 0, 1}));
    Bytes ready(64 + 1 + 16 + 2);
    ready[64] = 7;
    EXPECT_FALSE(parse_ready(ready));
}

TEST(Frames, MayHaveMoreBehindWhatIsKnown) {
    EXPECT_TRUE(parse_key(Bytes(40)));
    EXPECT_TRUE(parse_ping(Bytes(9)));
    EXPECT_TRUE(parse_peer_gone(Bytes(60)));
}

TEST(Hello, WithMoreEndpointsThanAnyRelayHasIsCutOff) {
    Bytes body{1, 0};
    for (int i = 0; i < 100; ++i) body.insert(body.end(), {4, 192, 0, 2, 1, 0, 1});
    const auto hello = parse_hello(body);
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->stun.size(), 16u);
}

}  // namespace
}  // namespace cvlan::relay
