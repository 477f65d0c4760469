// SPDX-License-Identifier: Apache-2.0
// What a client of the server sees: answers in order, held replies, limits of connections, drain.
#include "http/server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <future>
#include <stdexcept>
#include <thread>

#include "base/bytes.h"
#include "tests/http/server_fixture.h"

namespace cvlan::http::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// Keeps replies until the test takes them; everything else happens on the loop.
struct Holding {
    std::promise<void> came;
    std::optional<Reply> reply;
    Handler handler() {
        return [this](Request, Reply held) {
            reply.emplace(std::move(held));
            came.set_value();
        };
    }
};

TEST(AServer, AnswersRequestAfterRequestOnOneConnection) {
    TestServer server;
    RawClient client(server.at());
    for (const char* path : {"/a", "/b?x=1", "/c"}) {
        client.send(std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
        EXPECT_EQ(status_of(client.message()), 200);
    }
    const auto seen = server.seen();
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen[1].path, "/b");
    EXPECT_EQ(seen[1].query, "x=1");
    EXPECT_EQ(seen[0].peer.address.text(), "127.0.0.1");
    EXPECT_FALSE(seen[0].local);
    EXPECT_TRUE(is_uuid(seen[0].request_id));
    EXPECT_NE(seen[0].request_id, seen[1].request_id);
    EXPECT_EQ(server.stats().accepted, 1u);
}

TEST(AServer, SendsTheIdOfTheRequestBack) {
    TestServer server;
    RawClient client(server.at());
    client.send(kGet);
    const std::string answer = client.message();
    EXPECT_NE(answer.find("X-Request-Id: " + server.seen().at(0).request_id), std::string::npos);
    EXPECT_NE(answer.find("\r\nDate: "), std::string::npos);
}

// F15
TEST(AServer, AnswersTenThousandPipelinedRequestsInOrder) {
    TestServer server;
    RawClient client(server.at());
    std::string all;
    for (int i = 0; i < 10'000; ++i)
        all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    std::thread sender([&] { client.send(all); });
    for (int i = 0; i < 10'000; ++i)
        ASSERT_EQ(body_of(client.message()), "GET /" + std::to_string(i) + " ? []");
    sender.join();
}

TEST(AServer, HandsOneRequestOfAConnectionToTheHandlerAtATime) {
    Holding holding;
    TestServer server({}, holding.handler());
    RawClient client(server.at());
    client.send(std::string(kGet) + kGet + kGet);
    holding.came.get_future().wait();
    EXPECT_EQ(server.seen().size(), 1u);
    holding.came = {};
    server.call([&] { holding.reply->send({.body = "one"}); });
    EXPECT_EQ(body_of(client.message()), "one");
    holding.came.get_future().wait();
    EXPECT_EQ(server.seen().size(), 2u);
    holding.came = {};
    server.call([&] { holding.reply->send({.body = "two"}); });
    EXPECT_EQ(body_of(client.message()), "two");
    holding.came.get_future().wait();
    server.call([&] { holding.reply.reset(); });
    EXPECT_EQ(status_of(client.message()), 500);
}

TEST(AServer, AnswersAllThatCameBeforeTheEndOfTheStream) {
    TestServer server;
    RawClient client(server.at());
    client.send(std::string(kGet) + kGet);
    client.end();
    EXPECT_EQ(status_of(client.message()), 200);
    EXPECT_EQ(status_of(client.message()), 200);
    EXPECT_TRUE(client.is_closed());
}

TEST(AServer, ClosesWhenAsked) {
    TestServer server;
    RawClient client(server.at());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const std::string answer = client.message();
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(client.is_closed());
}

TEST(AServer, SendsNoBodyToHeadAndWithStatusesThatHaveNone) {
    int status = 200;
    TestServer server({},
                      [&](Request, Reply reply) { reply.send({.status = status, .body = "abc"}); });
    RawClient client(server.at());
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_NE(client.message(true).find("Content-Length: 3"), std::string::npos);
    for (int one : {204, 304}) {
        server.call([&] { status = one; });
        client.send(kGet);
        EXPECT_EQ(status_of(client.message()), one);
    }
    server.call([&] { status = 200; });
    client.send(kGet);
    EXPECT_EQ(body_of(client.message()), "abc");
}

TEST(AServer, SendsABodyAndItsSharedChunksInOrder) {
    const auto small = std::make_shared<const std::string>("small");
    const auto large = std::make_shared<const std::string>(300'000, 'x');
    const auto none = std::make_shared<const std::string>();
    TestServer server({}, [&](Request, Reply reply) {
        reply.send({.body = "head-", .chunks = {small, none, large, small}});
    });
    RawClient client(server.at());
    for (int i = 0; i < 2; ++i) {
        client.send(kGet);
        EXPECT_EQ(body_of(client.message()), "head-small" + *large + "small");
    }
    client.close();
    server.stop();
    EXPECT_EQ(large.use_count(), 1);
}

TEST(AServer, GoesOnWithABodyThatWaitsForIt) {
    TestServer server;
    RawClient client(server.at());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(status_of(client.message()), 100);
    client.send("hello");
    EXPECT_EQ(body_of(client.message()), "POST / ? [hello]");
    // Whoever does not wait is not kept waiting, and gets no 100.
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi");
    EXPECT_EQ(body_of(client.message()), "POST / ? [hi]");
}

TEST(AServer, RefusesABodyTooLargeBeforeItIsSent) {
    TestServer server;
    RawClient client(server.at());
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(status_of(client.message()), 413);
    EXPECT_TRUE(client.is_closed());
}

TEST(AServer, TellsAllOfARefusalToAClientThatIsStillSending) {
    TestServer server;
    RawClient client(server.at());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n");
    const std::string piece(65536, 'b');
    for (int i = 0; i < 16; ++i) client.send(piece);
    EXPECT_EQ(status_of(client.message()), 413);
}

TEST(AServer, ServesItsOwnNamesAlone) {
    Limits limits;
    limits.allowed_hosts = {"ctl.example", "[::1]"};
    TestServer server(limits);
    for (const char* host : {"ctl.example", "CTL.example:8443", "[::1]", "[::1]:80"}) {
        RawClient client(server.at());
        client.send(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n");
        EXPECT_EQ(status_of(client.message()), 200) << host;
    }
    for (const char* host : {"evil.example", "ctl.example.evil", "[::2]", "::1"}) {
        RawClient client(server.at());
        client.send(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n");
        EXPECT_EQ(status_of(client.message()), 421) << host;
    }
    EXPECT_EQ(server.seen().size(), 4u);
}

TEST(AHandler, ThatThrowsAnswers500AndSpoilsNothing) {
    TestServer server({}, [](Request request, Reply reply) {
        if (request.path == "/throw") throw std::runtime_error("boom");
        reply.send(echo(request));
    });
    RawClient client(server.at());
    client.send("GET /throw HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answer = client.message();
    EXPECT_EQ(status_of(answer), 500);
    EXPECT_EQ(answer.find("boom"), std::string::npos);
    client.send(kGet);
    EXPECT_EQ(status_of(client.message()), 200);
}

TEST(AHandler, CanNotSplitAnAnswer) {
    TestServer server({}, [](Request, Reply reply) {
        reply.send({.headers = {{"Location", "/\r\nSet-Cookie: a"}}, .body = "secret"});
    });
    RawClient client(server.at());
    client.send(kGet);
    const std::string answer = client.message();
    EXPECT_EQ(status_of(answer), 500);
    EXPECT_EQ(answer.find("Set-Cookie"), std::string::npos);
    EXPECT_EQ(answer.find("secret"), std::string::npos);
}

TEST(AHeldReply, IsSentWhenItsTimeComes) {
    Holding holding;
    TestServer server({}, holding.handler());
    RawClient client(server.at());
    client.send(kGet);
    holding.came.get_future().wait();
    EXPECT_EQ(server.stats().held, 1u);
    server.call([&] {
        EXPECT_FALSE(holding.reply->client_gone());
        holding.reply->send({.body = "later"});
        EXPECT_TRUE(holding.reply->client_gone());
        holding.reply->send({.body = "twice"});
    });
    EXPECT_EQ(body_of(client.message()), "later");
    EXPECT_EQ(server.stats().held, 0u);
}

TEST(AHeldReply, HearsThatItsClientLeft) {
    Holding holding;
    TestServer server({}, holding.handler());
    RawClient client(server.at());
    client.send(kGet);
    holding.came.get_future().wait();
    std::promise<void> gone;
    server.call([&] {
        holding.reply->on_client_gone([&] {
            EXPECT_TRUE(holding.reply->client_gone());
            holding.reply->send({.body = "to nobody"});
            holding.reply.reset();
            gone.set_value();
        });
    });
    client.close();
    gone.get_future().wait();
    EXPECT_EQ(server.stats().connections, 0u);
}

TEST(AHeldReply, OutlivesItsServer) {
    Holding holding;
    TestServer server({}, holding.handler());
    RawClient client(server.at());
    client.send(kGet);
    holding.came.get_future().wait();
    server.stop();
    server.call([&] {
        EXPECT_TRUE(holding.reply->client_gone());
        holding.reply->send({.body = "to nobody"});
        holding.reply.reset();
    });
}

// A handler that has others' threads do the work.
struct Elsewhere {
    LoopThread thread;
    std::unique_ptr<TestServer> server;

    explicit Elsewhere(const std::function<void(Reply)>& run)
        : server(std::make_unique<TestServer>(Limits{}, [this, run](Request request, Reply reply) {
              hand_over(std::move(reply), *request.loop, thread.loop(), run);
          })) {}
};

TEST(AHandedOverReply, IsGivenOnOneThreadAndSentByAnother) {
    std::promise<std::thread::id> worked;
    std::promise<void> go;
    Elsewhere elsewhere([&](Reply reply) {
        worked.set_value(std::this_thread::get_id());
        go.get_future().wait();
        reply.send({.body = "done"});
    });
    RawClient client(elsewhere.server->at());
    client.send(kGet);
    const auto where = worked.get_future().get();
    // The thread of the connections goes on meanwhile.
    EXPECT_NE(elsewhere.server->call([] { return std::this_thread::get_id(); }), where);
    EXPECT_EQ(elsewhere.server->stats().held, 1u);
    go.set_value();
    EXPECT_EQ(body_of(client.message()), "done");
}

TEST(AHandedOverReply, IsA500WhereNoneIsGiven) {
    Elsewhere silent([](const Reply&) {});
    RawClient client(silent.server->at());
    client.send(kGet);
    EXPECT_EQ(status_of(client.message()), 500);
    Elsewhere throwing([](const Reply&) { throw std::runtime_error("a library's"); });
    RawClient another(throwing.server->at());
    another.send(kGet);
    EXPECT_EQ(status_of(another.message()), 500);
}

TEST(AHandedOverReply, IsForNobodyWhereTheClientHasLeft) {
    std::promise<void> came, go, sent;
    Elsewhere elsewhere([&](Reply reply) {
        came.set_value();
        go.get_future().wait();
        reply.send({.body = "done"});
        sent.set_value();
    });
    auto client = std::make_unique<RawClient>(elsewhere.server->at());
    client->send(kGet);
    came.get_future().wait();
    client.reset();
    while (elsewhere.server->stats().connections > 0) std::this_thread::yield();
    go.set_value();
    sent.get_future().wait();
    EXPECT_EQ(elsewhere.server->stats().connections, 0u);
}

TEST(AHandedOverReply, OutlivesItsServer) {
    std::promise<void> came, go;
    Elsewhere elsewhere([&](Reply reply) {
        came.set_value();
        go.get_future().wait();
        reply.send({.body = "done"});
    });
    RawClient client(elsewhere.server->at());
    client.send(kGet);
    came.get_future().wait();
    elsewhere.server->stop();
    go.set_value();
    elsewhere.thread.stop();
    EXPECT_TRUE(client.is_closed());
}

TEST(ADrain, FinishesWhatIsHeldAndClosesWhatIsIdle) {
    Holding holding;
    TestServer server({}, holding.handler());
    RawClient held(server.at()), idle(server.at());
    held.send(kGet);
    holding.came.get_future().wait();
    std::promise<void> drained;
    server.call([&] {
        holding.reply->on_drain([&] { holding.reply->send({.body = "early"}); });
        server.server().drain(10s, [&] { drained.set_value(); });
    });
    const std::string answer = held.message();
    EXPECT_EQ(body_of(answer), "early");
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(held.is_closed());
    EXPECT_TRUE(idle.is_closed());
    held.close();
    idle.close();
    drained.get_future().wait();
    EXPECT_FALSE(RawClient(server.at()).is_connected());
}

TEST(ADrain, EndsAtItsLimit) {
    Holding holding;
    TestServer server({}, holding.handler());
    RawClient held(server.at());
    held.send(kGet);
    holding.came.get_future().wait();
    std::promise<void> drained;
    bool was_gone = false;
    server.call([&] {
        holding.reply->on_client_gone([&] { was_gone = true; });
        server.server().drain(20ms, [&] { drained.set_value(); });
    });
    drained.get_future().wait();
    EXPECT_TRUE(held.is_closed());
    server.call([&] { EXPECT_TRUE(was_gone); });
}

TEST(ConnectionLimits, RefuseOneMoreOfAnAddress) {
    Limits limits;
    limits.connections_per_address = 2;
    TestServer server(limits);
    RawClient first(server.at());
    RawClient second(server.at());
    first.send(kGet);
    second.send(kGet);
    EXPECT_EQ(status_of(first.message()), 200);
    EXPECT_EQ(status_of(second.message()), 200);
    RawClient third(server.at());
    EXPECT_TRUE(third.is_closed());
    EXPECT_EQ(server.stats().refused, 1u);
    first.end();
    EXPECT_TRUE(first.is_closed());
    RawClient fourth(server.at());
    fourth.send(kGet);
    EXPECT_EQ(status_of(fourth.message()), 200);
}

TEST(ConnectionLimits, MakeFurtherOnesWaitInTheKernel) {
    Limits limits;
    limits.connections = 1;
    TestServer server(limits);
    RawClient first(server.at());
    first.send(kGet);
    EXPECT_EQ(status_of(first.message()), 200);
    RawClient second(server.at());
    second.send(kGet);
    first.send(kGet);
    EXPECT_EQ(status_of(first.message()), 200);
    EXPECT_EQ(server.stats().accepted, 1u);
    first.end();
    EXPECT_EQ(status_of(second.message()), 200);
}

// F17
TEST(ConnectionLimits, OutOfDescriptorsItServesWhomItHasAndRecovers) {
    TestServer server;
    RawClient first(server.at());
    first.send(kGet);
    EXPECT_EQ(status_of(first.message()), 200);
    RawClient second(server.at());  // a descriptor for this side is needed before they run out
    EXPECT_EQ((second.send(kGet), status_of(second.message())), 200);

    UniqueFd third(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{static_cast<rlim_t>(dup(0)), before.rlim_max};
    ::close(static_cast<int>(none.rlim_cur));
    setrlimit(RLIMIT_NOFILE, &none);
    sockaddr_storage storage{};
    const socklen_t size = server.at().to_sockaddr(storage);
    EXPECT_EQ(connect(third.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
    ::send(third.get(), kGet, strlen(kGet), 0);
    for (int i = 0; i < 3; ++i) {
        first.send(kGet);
        EXPECT_EQ(status_of(first.message()), 200);
    }
    EXPECT_EQ(server.stats().accepted, 2u);
    setrlimit(RLIMIT_NOFILE, &before);
    char answer[16] = {};
    EXPECT_EQ(recv(third.get(), answer, 12, MSG_WAITALL), 12);
    EXPECT_STREQ(answer, "HTTP/1.1 200");
}

TEST(PlainListening, IsForLoopbackAlone) {
    EventLoop loop;
    const Service service{[](Request, Reply) {}};
    for (const char* at : {"0.0.0.0:0", "[::]:0", "192.0.2.1:0"}) {
        const auto made = Server::listen_plain(loop, *Endpoint::parse(at), service);
        ASSERT_FALSE(made) << at;
        EXPECT_EQ(made.error().code, Code::Denied);
    }
}

TEST(Listening, SaysWhichAddressIsTaken) {
    TestServer server;
    EventLoop loop;
    const auto second = Server::listen_plain(loop, server.at(), {[](Request, Reply) {}});
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find(server.at().text()), std::string::npos);
    EXPECT_EQ(second.error().sys_errno, EADDRINUSE);
}

}  // namespace
}  // namespace cvlan::http::test
