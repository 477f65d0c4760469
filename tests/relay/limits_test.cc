// SPDX-License-Identifier: Apache-2.0
// What a client, or a tenant, may not take from the others; and WebSocket, whose clients are served
// the same.
#include <gtest/gtest.h>

#include "relay/queue.h"
#include "relay/stream.h"
#include "relay/token_bucket.h"
#include "relay/websocket.h"
#include "tests/relay/relay_fixture.h"

namespace cvlan::relay::test {
namespace {

using namespace std::chrono_literals;

void put(FrameQueue& queue, uint8_t number, size_t body) {
    const auto room = queue.add(kFrameHead + body);
    ASSERT_EQ(room.size(), kFrameHead + body);
    write_head(room.data(), FrameType::Recv, body);
    std::fill(room.begin() + kFrameHead, room.end(), number);
}

// The first byte of each frame's body.
std::string numbers_in(FrameQueue& queue) {
    std::string seen;
    while (!queue.empty()) {
        FrameReader reader;
        reader.feed(queue.front());
        Frame frame;
        while (reader.next(frame)) seen += static_cast<char>('0' + frame.body[0]);
        EXPECT_TRUE(reader.is_between());
        queue.pop_front();
    }
    return seen;
}

TEST(AQueue, GivesFramesTogetherInTheirOrder) {
    BlockPool pool(10);
    FrameQueue queue(pool, 100'000);
    for (uint8_t i = 0; i < 9; ++i) put(queue, i, 4000);
    EXPECT_EQ(queue.bytes(), 9u * 4005);
    EXPECT_EQ(pool.out(), 3u);
    EXPECT_LE(queue.front().size() + kHeadroom, kMostRecord);
    EXPECT_EQ(numbers_in(queue), "012345678");
    EXPECT_EQ(pool.out(), 0u);
    EXPECT_EQ(queue.bytes(), 0u);
}

TEST(AQueue, DropsTheOldestWhenItIsFull) {
    BlockPool pool(10);
    FrameQueue queue(pool, 20'000);
    for (uint8_t i = 0; i < 9; ++i) put(queue, i, 5000);
    EXPECT_EQ(queue.dropped(), 6u);
    EXPECT_EQ(numbers_in(queue), "678");
}

TEST(AQueue, TakesAFrameThatIsLongerThanABlock) {
    BlockPool pool(10);
    FrameQueue queue(pool, kMostFrame);
    put(queue, 1, 10);
    put(queue, 2, kMostBody);
    EXPECT_EQ(queue.dropped(), 1u);
    EXPECT_TRUE(queue.add(kMostFrame + 1).empty());
    EXPECT_EQ(numbers_in(queue), "2");
}

TEST(AQueue, HasNoRoomWhereAllHaveTakenTooMuch) {
    BlockPool pool(2);
    FrameQueue one(pool, 100'000), other(pool, 100'000);
    put(one, 1, 10'000);
    put(one, 2, 10'000);
    EXPECT_TRUE(other.add(100).empty());
    one.clear();
    put(other, 3, 100);
    EXPECT_EQ(numbers_in(other), "3");
}

TEST(ARelay, LeavesBuffersToThoseWhoAreBusyAndToNoMoreThanItMay) {
    ServerLimits limits;
    limits.sweep = 200ms;
    limits.busy_sessions = 1;
    TestRelay relay(limits);
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    size_t most = 0;
    for (int i = 0; i < 500; ++i) {
        ASSERT_TRUE(a->send(key_of(0xb2), "x"));
        ASSERT_EQ(b->packet(), "161:x");
        most = std::max(most, relay.stats().busy);
    }
    EXPECT_EQ(most, 1u);
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (relay.stats().busy > 0 && std::chrono::steady_clock::now() < end) {
    }
    EXPECT_EQ(relay.stats().busy, 0u);
    // Those that were given back come again by themselves.
    EXPECT_TRUE(a->send(key_of(0xb2), "y"));
    EXPECT_EQ(b->packet(), "161:y");
}

TEST(ATokenBucket, LetsSoMuchPassInASecond) {
    TokenBucket bucket(1000);
    bucket.refill(1ms);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.take(100));
    EXPECT_FALSE(bucket.take(1));
    for (int ms = 2; ms <= 101; ++ms) bucket.refill(std::chrono::milliseconds(ms));
    EXPECT_TRUE(bucket.take(100));
    EXPECT_FALSE(bucket.take(1));
    bucket.refill(1h);
    EXPECT_TRUE(bucket.take(1000));
    EXPECT_FALSE(bucket.take(1));
    bucket.refill(1ms);
    EXPECT_FALSE(bucket.take(1));
}

TEST(ATokenBucket, CountsSlowRatesWhateverTheClockTicks) {
    TokenBucket bucket(3);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(1));
    int passed = 0;
    for (int ms = 1; ms <= 10'000; ++ms) {
        bucket.refill(std::chrono::milliseconds(ms));
        if (bucket.take(1)) ++passed;
    }
    EXPECT_NEAR(passed, 30, 1);
}

TEST(ATokenBucket, OfNoLimitLetsAllPass) {
    TokenBucket bucket(0);
    EXPECT_TRUE(bucket.take(1'000'000'000));
}

TEST(ASlowClient, LosesTheOldestPacketsAndNobodyElseDoes) {
    TestRelay relay;
    const auto a = relay.client(1, 0xa1), slow = relay.client(2, 0xb2), c = relay.client(3, 0xc3);
    // Far more than its socket and its queue hold.
    const std::string packet(16'000, 'x');
    constexpr int kPackets = 2000;
    for (int i = 0; i < kPackets; ++i) {
        ASSERT_TRUE(a->send(key_of(0xb2), packet + std::to_string(i)));
        if (i % 100 != 0) continue;
        a->send(key_of(0xc3), "meanwhile");
        EXPECT_EQ(c->packet(), "161:meanwhile");
    }
    const ServerStats stats = relay.stats();
    EXPECT_GT(stats.dropped_queue, 0u);
    int received = 0;
    std::string last;
    while (last != std::to_string(kPackets - 1)) {
        const std::string got = slow->packet();
        ASSERT_FALSE(got.empty());
        last = got.substr(4 + packet.size());
        ++received;
    }
    EXPECT_EQ(static_cast<uint64_t>(received) + relay.stats().dropped_queue, uint64_t{kPackets});
}

TEST(ATenant, HasNoMoreSessionsThanItMay) {
    ServerLimits limits = TestRelay::quick();
    limits.tenant.sessions = 1;
    TestRelay relay(limits);
    auto a = relay.client(1, 0xa1);
    TestClient refused(relay.at(), relay.first, relay.first.node(2));
    EXPECT_EQ(refused.status(), 429);
    a->write_frame(FrameType::Ping, {});  // ends it
    EXPECT_TRUE(a->next(FrameType::Error));
    EXPECT_FALSE(a->next());
    relay.client(2, 0xb2);
}

TEST(ATenant, SendsNoMoreThanItMay) {
    ServerLimits limits = TestRelay::quick();
    limits.tenant.packets_a_second = 10;
    TestRelay relay(limits);
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    for (int i = 0; i < 20; ++i) a->send(key_of(0xb2), std::to_string(i));
    a->ping();
    EXPECT_TRUE(a->next(FrameType::Pong));
    EXPECT_EQ(relay.stats().packets, 10u);
    EXPECT_EQ(relay.stats().dropped_limit, 10u);
    relay.clock.advance(1s);
    a->send(key_of(0xb2), "again");
    std::string last;
    while (last != "161:again") last = b->packet();
}

TEST(ATenant, SendsNoMoreBytesThanItMay) {
    ServerLimits limits = TestRelay::quick();
    limits.tenant.bytes_a_second = 1000;
    TestRelay relay(limits);
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    for (int i = 0; i < 3; ++i) a->send(key_of(0xb2), std::string(400, 'x'));
    a->ping();
    EXPECT_TRUE(a->next(FrameType::Pong));
    EXPECT_EQ(relay.stats().dropped_limit, 1u);
}

// A browser's way, by hand.
class WebSocketClient {
public:
    WebSocketClient(TestRelay& relay, int node, uint8_t key)
        : client_(relay.at(), relay.first, relay.first.node(node), kRequest) {
        const std::string grant =
            relay.first.sign(relay.first.grant(node, key_of(key), relay.clock.now()));
        Bytes frame;
        put_grant(frame, grant);
        send(Opcode::Binary, frame);
    }
    static constexpr const char* kRequest =
        "GET /relay HTTP/1.1\r\nHost: r\r\nConnection: keep-alive, Upgrade\r\n"
        "Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: chat, cvlan-relay\r\n\r\n";

    TestClient& raw() { return client_; }
    void send(Opcode opcode, ByteView payload) {
        const Bytes mask{1, 2, 3, 4};
        Bytes out(kMostWebSocketHead);
        out.resize(write_websocket_head(out.data(), opcode, payload.size(), mask));
        const size_t at = out.size();
        out.insert(out.end(), payload.begin(), payload.end());
        mask_payload(std::span(out).subspan(at), mask);
        client_.write(out);
    }
    // The next piece of a message or control frame.
    std::pair<Opcode, Bytes> next() {
        WebSocketReader::Piece piece;
        while (!reader_.next(piece)) {
            const int got = SSL_read(client_.ssl(), bytes_.data(), static_cast<int>(bytes_.size()));
            if (got <= 0 || reader_.error()) return {};
            reader_.feed(std::span(bytes_).first(static_cast<size_t>(got)));
        }
        return {piece.opcode, {piece.payload.begin(), piece.payload.end()}};
    }
    std::string packet() {
        while (true) {
            Frame frame;
            while (frames_.next(frame)) {
                if (frame.type != FrameType::Recv) continue;
                const auto packet = parse_packet(frame.body);
                return fmt::format("{}:{}", packet->key[0], as_text(packet->payload));
            }
            message_ = next().second;
            if (message_.empty()) return "";
            frames_.feed(message_);
        }
    }

private:
    TestClient client_;
    WebSocketReader reader_{WebSocketSide::Client};
    FrameReader frames_;
    Bytes message_;
    Bytes bytes_ = Bytes(kMostFrame);
};

TEST(AWebSocket, IsServedLikeThePlainUpgrade) {
    TestRelay relay;
    WebSocketClient a(relay, 1, 0xa1);
    const std::string& head = a.raw().head();
    EXPECT_EQ(a.raw().status(), 101);
    EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
              std::string::npos);
    EXPECT_NE(head.find("Sec-WebSocket-Protocol: cvlan-relay\r\n"), std::string::npos);
    const auto b = relay.client(2, 0xb2);
    Bytes frames;
    put_packet(frames, FrameType::Send, {key_of(0xb2).bytes(), as_bytes("one")});
    put_packet(frames, FrameType::Send, {key_of(0xb2).bytes(), as_bytes("two")});
    a.send(Opcode::Binary, frames);
    EXPECT_EQ(b->packet(), "161:one");
    EXPECT_EQ(b->packet(), "161:two");
    for (const size_t size : {size_t{10}, size_t{1000}, size_t{16'300}, kMostPacket}) {
        b->send(key_of(0xa1), std::string(size, 'y'));
        EXPECT_EQ(a.packet(), "178:" + std::string(size, 'y'));
    }
}

TEST(AWebSocket, IsAnsweredByPongAndClose) {
    TestRelay relay;
    WebSocketClient a(relay, 1, 0xa1);
    EXPECT_EQ(a.next().first, Opcode::Binary);  // HELLO and GRANTED, perhaps in one
    a.send(Opcode::Ping, as_bytes("are you there?"));
    std::pair<Opcode, Bytes> seen = a.next();
    if (seen.first == Opcode::Binary) seen = a.next();
    EXPECT_EQ(seen.first, Opcode::Pong);
    EXPECT_EQ(as_text(seen.second), "are you there?");
    a.send(Opcode::Close, Bytes{0x03, 0xe8});
    seen = a.next();
    EXPECT_EQ(seen.first, Opcode::Close);
    EXPECT_EQ(seen.second, (Bytes{0x03, 0xe8}));
    EXPECT_TRUE(a.next().second.empty());
}

TEST(AWebSocket, WhoseMessageEndsWithinAFrameIsClosed) {
    TestRelay relay;
    WebSocketClient a(relay, 1, 0xa1);
    a.send(Opcode::Binary, Bytes{0x06, 0, 0, 0, 8, 1});
    std::pair<Opcode, Bytes> seen = a.next();
    while (seen.first == Opcode::Binary && !seen.second.empty()) seen = a.next();
    EXPECT_EQ(seen.first, Opcode::Close);
}

TEST(AnUpgradeRequest, ThatIsNoneOfOursIsTold) {
    TestRelay relay;
    const std::string host = " HTTP/1.1\r\nHost: r\r\n";
    const std::string ours = "Connection: Upgrade\r\nUpgrade: cvlan-relay\r\n";
    const std::string websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const std::string thirteen = "Sec-WebSocket-Version: 13\r\n";
    const std::pair<int, std::string> asked[] = {
        {404, "GET /" + host + ours},
        {404, "GET /relay/" + host + ours},
        {405, "POST /relay" + host + ours},
        {400, "GET /relay" + host + ours + "Content-Length: 1\r\n"},
        {426, "GET /relay" + host},
        {426, "GET /relay" + host + "Upgrade: cvlan-relay\r\n"},
        {426, "GET /relay" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n"},
        {426, "GET /relay" + host + websocket + key + "Sec-WebSocket-Version: 8\r\n"},
        {400, "GET /relay" + host + websocket + thirteen},
        {400, "GET /relay" + host + websocket + thirteen + "Sec-WebSocket-Key: c2hvcnQ=\r\n"},
        {400, "GET /relay" + host + websocket + thirteen + key},
        {101, "GET /relay" + host + "Connection: close , UPGRADE\r\nUpgrade: h2c, CVLAN-Relay\r\n"},
    };
    for (const auto& [status, request] : asked) {
        SCOPED_TRACE(request);
        TestClient client(relay.at(), relay.first, relay.first.node(1),
                          request + "\r\n" + (status == 400 ? "x" : ""));
        EXPECT_EQ(client.status(), status);
    }
}

}  // namespace
}  // namespace cvlan::relay::test
