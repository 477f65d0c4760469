// SPDX-License-Identifier: Apache-2.0
// F01, F02: each phase of a connection has a deadline. Tests make one of them short and wait for
// what the server does then; the other deadlines are too long to matter.
#include <gtest/gtest.h>
#include <malloc.h>

#include <future>

#include "tests/http/server_fixture.h"

namespace cvlan::http::test {
namespace {

using namespace std::chrono_literals;

Limits patient() {
    Limits limits;
    limits.handshake = limits.head = limits.body = limits.write = limits.idle = limits.held = 60s;
    return limits;
}

TEST(ADeadline, OfTheHeadIsAnsweredWith408) {
    Limits limits = patient();
    limits.head = 30ms;
    TestServer server(limits);
    RawClient client(server.at());
    client.send("GET / HTTP/1.1\r\nHost:");
    EXPECT_EQ(status_of(client.message()), 408);
    EXPECT_TRUE(client.is_closed());
    EXPECT_TRUE(server.seen().empty());
}

TEST(ADeadline, OfTheHeadIsNotPutOffByMoreBytes) {
    Limits limits = patient();
    limits.head = 20ms;
    TestServer server(limits);
    RawClient client(server.at());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    // A byte in every turn of the server's loop; too few for the head's own limit.
    size_t sent = 0;
    while (sent < 15'000 && server.stats().errors == 0 && client.send("x")) ++sent;
    EXPECT_LT(sent, 15'000u);
    EXPECT_GT(sent, 0u);
    EXPECT_EQ(status_of(client.message()), 408);
}

TEST(ADeadline, OfAConnectionThatSaysNothingClosesIt) {
    Limits limits = patient();
    limits.head = 30ms;
    TestServer server(limits);
    RawClient client(server.at());
    EXPECT_TRUE(client.is_closed());
}

TEST(ADeadline, OfTheBodyIsAnsweredWith408) {
    Limits limits = patient();
    limits.body = 30ms;
    TestServer server(limits);
    RawClient client(server.at());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    EXPECT_EQ(status_of(client.message()), 408);
    EXPECT_TRUE(client.is_closed());
    EXPECT_TRUE(server.seen().empty());
}

TEST(ADeadline, BetweenRequestsClosesWithoutAWord) {
    Limits limits = patient();
    limits.idle = 30ms;
    TestServer server(limits);
    RawClient client(server.at());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(status_of(client.message()), 200);
    EXPECT_TRUE(client.is_closed());
}

TEST(ADeadline, OfAHeldReplyIsAnsweredWith503AndTheHandlerHears) {
    Limits limits = patient();
    limits.held = 30ms;
    std::promise<void> gone;
    std::optional<Reply> held;
    TestServer server(limits, [&](Request, Reply reply) {
        held.emplace(std::move(reply));
        held->on_client_gone([&] { gone.set_value(); });
    });
    RawClient client(server.at());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(status_of(client.message()), 503);
    gone.get_future().wait();
    server.call([&] {
        EXPECT_TRUE(held->client_gone());
        held->send({.body = "too late"});
    });
    EXPECT_TRUE(client.is_closed());
}

TEST(ADeadline, OfAReaderThatTakesNothingCutsItOff) {
    Limits limits = patient();
    limits.write = 50ms;
    const auto large = std::make_shared<const std::string>(5'000'000, 'x');
    std::promise<void> asked;
    TestServer server(limits, [&](Request, Reply reply) {
        reply.send({.chunks = std::vector(100, large)});
        asked.set_value();
    });
    RawClient client(server.at());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    asked.get_future().wait();
    // Reads nothing until the server has given up: then what the kernels held, and a reset.
    while (server.stats().connections > 0) {
    }
    EXPECT_LT(client.rest().size(), 500'000'000u);
    server.call([&] { EXPECT_EQ(large.use_count(), 1); });
}

TEST(ADeadline, DoesNotCutOffAReaderThatTakesAllInTime) {
    Limits limits = patient();
    const auto large = std::make_shared<const std::string>(5'000'000, 'x');
    TestServer server(limits,
                      [&](Request, Reply reply) { reply.send({.chunks = std::vector(4, large)}); });
    RawClient client(server.at());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(body_of(client.message()).size(), 20'000'000u);
}

// F02: of a large answer no more is held for each slow reader than fits its buffer.
TEST(ASlowReader, HoldsNoMoreThan256KiBOfALargeAnswer) {
    constexpr size_t kReaders = 16;
    const auto large = std::make_shared<const std::string>(5 << 20, 'x');
    TestServer server({}, [&](Request, Reply reply) { reply.send({.chunks = {large}}); });
    const auto held = [] {
        const auto heap = mallinfo2();
        return heap.uordblks + heap.hblkhd;
    };
    std::vector<std::unique_ptr<RawClient>> readers;
    const size_t before = held();
    for (size_t i = 0; i < kReaders; ++i) {
        readers.push_back(std::make_unique<RawClient>(server.at()));
        readers.back()->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        EXPECT_EQ(status_of(readers.back()->message(true)), 200);  // it is being answered
    }
    (void)server.stats();  // and the loop has come round
    EXPECT_LT(held() - before, kReaders * 256 * 1024);
}

}  // namespace
}  // namespace cvlan::http::test
