// SPDX-License-Identifier: Apache-2.0
// The client against our server and against peers that misbehave, all on one loop.
#include "http/client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <future>
#include <thread>

#include "http/connector.h"
#include "http/listener.h"
#include "tests/http/server_fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_ca.h"

namespace cvlan::http::test {
namespace {

using namespace std::chrono_literals;
using cvlan::test::IssuedCert;
using cvlan::test::TempDir;
using cvlan::test::TestCa;

const TestCa& root() {
    static const TestCa ca("root");
    return ca;
}
const TestCa& middle() {
    static const TestCa ca("middle", root());
    return ca;
}

TlsServerOptions server_tls(const IssuedCert& leaf, ClientCert ask = ClientCert::None) {
    return {leaf.cert_pem + middle().pem() + root().pem(),
            SecretText(leaf.key_pem),
            {root().pem()},
            ask};
}

// A Client on a loop of the test's own thread. Waits ten seconds for an answer at most.
class Asking {
public:
    explicit Asking(ClientOptions options) { made_ = Client::open(loop_, std::move(options)); }
    const Result<std::unique_ptr<Client>>& made() const { return made_; }
    EventLoop& loop() { return loop_; }
    Client& client() { return **made_; }

    Result<Response> ask(ClientRequest request) {
        std::optional<Result<Response>> answer;
        (*made_)->request(std::move(request),
                          [&](Result<Response> got) { answer = std::move(got); });
        EXPECT_FALSE(answer) << "called back within request()";
        wait([&] { return answer.has_value(); });
        return answer ? std::move(*answer) : fail(Code::Internal, "the test gave up");
    }
    Result<Response> get(const std::string& target = "/") { return ask({.target = target}); }
    template <class Until>
    void wait(Until until) {
        bool over = false;
        const Timer limit = loop_.after(10s, [&] { over = true; });
        while (!until() && !over) loop_.run_once(10ms);
    }

private:
    EventLoop loop_;
    Result<std::unique_ptr<Client>> made_ = fail(Code::Internal, "not yet");
};

ClientOptions options_for(const Endpoint& at, const std::string& host = "localhost") {
    ClientOptions options;
    options.host = host;
    options.port = at.port;
    options.addresses = {at.address};
    options.trust.ca_pem = root().pem();
    return options;
}

// A listener on which the test plays the server by hand, in a thread.
class Script {
public:
    using Play = std::function<void(int fd)>;
    explicit Script(const std::string& path, std::vector<Play> plays) {
        listening_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        EXPECT_EQ(bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(listening_.get(), 8), 0);
        thread_ = std::thread([this, all = std::move(plays)] {
            for (const auto& play : all) {
                const UniqueFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
                if (!fd) return;
                ++connections_;
                play(fd.get());
            }
        });
    }
    ~Script() {
        shutdown(listening_.get(), SHUT_RDWR);
        thread_.join();
    }
    int connections() const { return connections_; }

private:
    UniqueFd listening_;
    std::thread thread_;
    std::atomic<int> connections_ = 0;
};

void read_request(int fd) {
    std::string got;
    char bytes[4096];
    while (got.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0) return;
        got.append(bytes, static_cast<size_t>(n));
    }
}
void say(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}
void wait_for_end(int fd) {
    char bytes[4096];
    while (recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
}
Script::Play answering(std::string bytes) {
    return [bytes](int fd) {
        read_request(fd);
        say(fd, bytes);
        wait_for_end(fd);
    };
}
constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// The code of the error which a server that says `bytes` leads to; nothing if there is an answer.
std::optional<Code> outcome_of(const std::string& bytes, bool ends = false) {
    const TempDir dir;
    const Script script(dir.file("s"), {[&](int fd) {
                            read_request(fd);
                            say(fd, bytes);
                            if (!ends) wait_for_end(fd);
                        }});
    Asking asking({.unix_path = dir.file("s")});
    const auto answer = asking.get();
    if (answer) return std::nullopt;
    return answer.error().code;
}

TEST(AClient, AsksOverTlsAndReusesItsConnection) {
    TestServer server(server_tls(middle().issue({})), {});
    Asking asking(options_for(server.at()));
    for (int i = 0; i < 3; ++i) {
        const auto answer = asking.ask({.method = "POST", .target = "/a?b", .body = "hello"});
        ASSERT_TRUE(answer) << answer.error().message;
        EXPECT_EQ(answer->body, "POST /a ?b [hello]");
        EXPECT_EQ(answer->content_type, "text/plain");
        EXPECT_EQ(*answer->header("x-request-id"), server.seen().back().request_id);
    }
    EXPECT_EQ(server.stats().accepted, 1u);
    EXPECT_EQ(*server.seen()[0].header("Host"), "localhost:" + std::to_string(server.at().port));
}

TEST(AClient, PresentsItsCertificate) {
    const IssuedCert own = middle().issue({.san = "", .eku = "clientAuth"});
    TestServer server(server_tls(middle().issue({}), ClientCert::Required), {});
    ClientOptions options = options_for(server.at());
    options.certificate_pem = own.cert_pem + middle().pem();
    options.private_key_pem = SecretText(own.key_pem);
    Asking asking(std::move(options));
    ASSERT_TRUE(asking.get());
    EXPECT_EQ(server.seen().at(0).client_certificate.pem(), own.cert_pem);
}

TEST(AClient, HearsThatItsCertificateIsRefused) {
    TestServer server(server_tls(middle().issue({}), ClientCert::Required), {});
    const TestCa stranger("stranger");
    const IssuedCert others[] = {{},
                                 stranger.issue({.eku = "clientAuth"}),
                                 middle().issue({.eku = "clientAuth", .valid_to = -60})};
    for (const auto& own : others) {
        ClientOptions options = options_for(server.at());
        options.certificate_pem = own.cert_pem;
        options.private_key_pem = SecretText(own.key_pem);
        Asking asking(std::move(options));
        const auto answer = asking.get();
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, Code::Denied) << answer.error().message;
    }
    EXPECT_TRUE(server.seen().empty());
}

TEST(AClient, TrustsOnlyWhomItShould) {
    const TestCa stranger("stranger");
    const struct {
        const char* what;
        IssuedCert leaf;
        std::string host;
    } wrong[] = {
        {"of another CA", stranger.issue({}), "localhost"},
        {"expired", middle().issue({.valid_to = -60}), "localhost"},
        {"not yet valid", middle().issue({.valid_from = 60}), "localhost"},
        {"for another name", middle().issue({.san = "DNS:other.example"}), "localhost"},
        {"with the name as subject alone", middle().issue({.name = "localhost", .san = ""}),
         "localhost"},
        {"for another address", middle().issue({.san = "IP:127.0.0.2"}), "127.0.0.1"},
        {"for clients", middle().issue({.eku = "clientAuth"}), "localhost"},
    };
    for (const auto& one : wrong) {
        SCOPED_TRACE(one.what);
        TestServer server(server_tls(one.leaf), {});
        for (const bool by_pin : {false, true}) {
            ClientOptions options = options_for(server.at(), one.host);
            if (by_pin) options.trust = {.ca_spki_sha256 = *spki_sha256(root().pem())};
            Asking asking(std::move(options));
            const auto answer = asking.get();
            ASSERT_FALSE(answer);
            EXPECT_EQ(answer.error().code, Code::Denied) << answer.error().message;
        }
        EXPECT_TRUE(server.seen().empty());
    }
}

TEST(APin, IsEnoughToTrustAServerThatPresentsTheCa) {
    TestServer server(server_tls(middle().issue({})), {});
    for (const TestCa* ca : {&root(), &middle()}) {
        ClientOptions options = options_for(server.at(), "127.0.0.1");
        options.trust = {.ca_spki_sha256 = *spki_sha256(ca->pem())};
        Asking asking(std::move(options));
        const auto answer = asking.get();
        EXPECT_TRUE(answer) << answer.error().message;
    }
}

TEST(APin, IsNotMetByALeafOrByACaThatDidNotSign) {
    const IssuedCert leaf = middle().issue({});
    const TestCa stranger("stranger");
    // The stranger's own certificate stands in the chain, but signed nothing of it.
    TlsServerOptions tls{leaf.cert_pem + middle().pem() + root().pem() + stranger.pem(),
                         SecretText(leaf.key_pem)};
    TestServer server(tls, {});
    for (const std::string& pinned : {leaf.cert_pem, stranger.pem()}) {
        ClientOptions options = options_for(server.at());
        options.trust = {.ca_spki_sha256 = *spki_sha256(pinned)};
        Asking asking(std::move(options));
        const auto answer = asking.get();
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, Code::Denied) << answer.error().message;
    }
}

TEST(APin, OfAnImpostorWithTheSameNameIsRefused) {
    const TestCa impostor("root");
    const IssuedCert leaf = impostor.issue({});
    TestServer server({leaf.cert_pem + impostor.pem() + root().pem(), SecretText(leaf.key_pem)},
                      {});
    ClientOptions options = options_for(server.at());
    options.trust = {.ca_spki_sha256 = *spki_sha256(root().pem())};
    Asking asking(std::move(options));
    const auto answer = asking.get();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Denied);
    EXPECT_TRUE(server.seen().empty());
}

TEST(ClientOptions, AreCheckedAtOnce) {
    EventLoop loop;
    const auto refused = [&](ClientOptions options) {
        return !Client::open(loop, std::move(options));
    };
    EXPECT_TRUE(refused({}));
    EXPECT_TRUE(refused({.host = "a"}));
    EXPECT_TRUE(refused({.host = "a", .trust = {.ca_pem = "nonsense"}}));
    EXPECT_TRUE(refused({.host = "a", .trust = {.ca_spki_sha256 = {1, 2, 3}}}));
    EXPECT_TRUE(refused({.host = "a", .trust = {root().pem(), *spki_sha256(root().pem())}}));
    EXPECT_TRUE(refused({.host = "a", .trust = {root().pem()}, .certificate_pem = "nonsense"}));
    EXPECT_FALSE(refused({.host = "a", .trust = {root().pem()}}));
}

TEST(AClient, SpeaksOverAUnixSocket) {
    const TempDir dir;
    TestServer server(UnixSocket{dir.file("s")}, {});
    Asking asking({.unix_path = dir.file("s")});
    const auto answer = asking.get("/x");
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, "GET /x ? []");
    EXPECT_TRUE(server.seen().at(0).local);
}

TEST(AClient, SaysWhenNobodyIsThere) {
    const TempDir dir;
    Asking nobody({.unix_path = dir.file("s")});
    const auto answer = nobody.get();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Unavailable);
    EXPECT_EQ(answer.error().sys_errno, ENOENT);

    Endpoint closed;
    {
        const TestServer server;
        closed = server.at();
    }
    Asking refused(options_for(closed));
    const auto second = refused.get();
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().sys_errno, ECONNREFUSED);
    EXPECT_EQ(second.error().code, Code::Unavailable);
}

TEST(AClient, TriesTheNextAddressWhenOneRefuses) {
    TestServer server(server_tls(middle().issue({})), {});
    ClientOptions options = options_for(server.at());
    options.addresses = {*Address::parse("::1"), *Address::parse("127.0.0.9"),
                         *Address::parse("127.0.0.1")};
    Asking asking(std::move(options));
    EXPECT_TRUE(asking.get());
}

TEST(AClient, ResolvesNamesOfTheHostsFile) {
    TestServer server(server_tls(middle().issue({})), {});
    ClientOptions options = options_for(server.at());
    options.addresses = {};
    Asking asking(std::move(options));
    const auto answer = asking.get();
    EXPECT_TRUE(answer) << answer.error().message;
}

TEST(AClient, AnswersInTheOrderOfAsking) {
    const TempDir dir;
    TestServer server(UnixSocket{dir.file("s")}, {});
    Asking asking({.unix_path = dir.file("s")});
    std::vector<std::string> bodies;
    for (const char* target : {"/1", "/2", "/3"})
        asking.client().request({.target = target},
                                [&](Result<Response> got) { bodies.push_back(got->body); });
    asking.wait([&] { return bodies.size() == 3; });
    EXPECT_EQ(bodies, (std::vector<std::string>{"GET /1 ? []", "GET /2 ? []", "GET /3 ? []"}));
    EXPECT_EQ(server.stats().accepted, 1u);
}

TEST(AClient, GivesUpAtTheTimeoutAndAsksAnewAfterIt) {
    const TempDir dir;
    std::vector<Reply> held;
    TestServer server(UnixSocket{dir.file("s")}, {}, [&](Request request, Reply reply) {
        if (request.path == "/hold") return held.push_back(std::move(reply));
        reply.send(echo(request));
    });
    Asking asking({.unix_path = dir.file("s")});
    const auto answer = asking.ask({.target = "/hold", .timeout = 30ms});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Unavailable);
    EXPECT_TRUE(asking.get());
    EXPECT_EQ(server.stats().accepted, 2u);
    server.call([&] { held.clear(); });
}

TEST(AClient, GivesUpWhenTheHandshakeTakesTooLong) {
    // The kernel takes the connection; nobody ever accepts it.
    const auto silent = Listener::tcp(*Endpoint::parse("127.0.0.1:0"));
    ASSERT_TRUE(silent);
    ClientOptions options = options_for(silent->at());
    options.connect_timeout = 30ms;
    Asking asking(std::move(options));
    const auto answer = asking.get();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Unavailable);
    EXPECT_EQ(answer.error().message, "connect to localhost: timed out");
}

TEST(AClient, AsksAgainWhenTheKeptConnectionWasClosed) {
    const TempDir dir;
    std::promise<void> end;
    const Script script(dir.file("s"), {[&](int fd) {
                                            read_request(fd);
                                            say(fd, kOk);
                                            read_request(fd);  // and closes without a word
                                        },
                                        answering(kOk)});
    Asking asking({.unix_path = dir.file("s")});
    EXPECT_TRUE(asking.get());
    EXPECT_TRUE(asking.get());
    EXPECT_EQ(script.connections(), 2);
}

TEST(AClient, DoesNotAskTwiceWhatMayHaveBeenDone) {
    const TempDir dir;
    const Script script(dir.file("s"), {[&](int fd) {
                                            read_request(fd);
                                            say(fd, kOk);
                                            read_request(fd);
                                        },
                                        answering(kOk)});
    Asking asking({.unix_path = dir.file("s")});
    EXPECT_TRUE(asking.get());
    const auto second = asking.ask({.method = "POST", .target = "/"});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::Unavailable);
    EXPECT_TRUE(asking.get());
}

TEST(AClient, TakesNoAnswerItDidNotAskFor) {
    const TempDir dir;
    const Script script(
        dir.file("s"),
        {answering(std::string(kOk) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
         answering(kOk)});
    Asking asking({.unix_path = dir.file("s")});
    EXPECT_EQ(asking.get()->body, "ok");
    EXPECT_EQ(asking.get()->body, "ok");
    EXPECT_EQ(script.connections(), 2);
}

TEST(AClient, ClosesAConnectionThatItDoesNotUse) {
    const TempDir dir;
    TestServer server(UnixSocket{dir.file("s")}, {});
    Asking asking({.unix_path = dir.file("s"), .idle = 20ms});
    EXPECT_TRUE(asking.get());
    asking.wait([&] { return server.stats().connections == 0; });
    EXPECT_EQ(server.stats().connections, 0u);
    EXPECT_TRUE(asking.get());
}

TEST(AClient, CanBeDestroyedByItsCallback) {
    const TempDir dir;
    TestServer server(UnixSocket{dir.file("s")}, {});
    EventLoop loop;
    auto client = Client::open(loop, {.unix_path = dir.file("s")});
    ASSERT_TRUE(client);
    int calls = 0;
    for (int i = 0; i < 3; ++i)
        (*client)->request({.target = "/"}, [&](Result<Response>) {
            ++calls;
            client->reset();
            loop.stop();
        });
    loop.run();
    EXPECT_EQ(calls, 1);

    auto nobody = Client::open(loop, {.unix_path = dir.file("none")});
    calls = 0;
    for (int i = 0; i < 3; ++i)
        (*nobody)->request({.target = "/"}, [&](Result<Response> got) {
            EXPECT_FALSE(got);
            ++calls;
            nobody->reset();
            loop.stop();
        });
    loop.run();
    EXPECT_EQ(calls, 1);
}

TEST(AClient, CallsNobodyBackOnceItIsGone) {
    const TempDir dir;
    TestServer server(UnixSocket{dir.file("s")}, {});
    EventLoop loop;
    auto client = Client::open(loop, {.unix_path = dir.file("s")});
    auto unresolved = Client::open(loop, {.host = "no-such-host.invalid", .trust = {root().pem()}});
    bool is_gone = false;
    const auto done = [&](Result<Response>) { EXPECT_FALSE(is_gone); };
    (*client)->request({.target = "/"}, done);
    (*unresolved)->request({.target = "/"}, done);
    loop.run_once(0ms);
    (*client)->request({.target = "bad"}, done);
    is_gone = true;
    client->reset();
    unresolved->reset();
    for (int i = 0; i < 20; ++i) loop.run_once(1ms);
}

TEST(AClient, RefusesARequestThatCanNotBeSent) {
    const TempDir dir;
    Asking asking({.unix_path = dir.file("s")});
    const auto answer = asking.ask({.target = "/ HTTP/1.1\r\nX: y"});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Invalid);
}

TEST(AnAnswer, OfEachGoodShapeIsTaken) {
    const std::string head = "HTTP/1.1 200 OK\r\n";
    EXPECT_FALSE(outcome_of(kOk));
    EXPECT_FALSE(
        outcome_of(head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n"));
    EXPECT_FALSE(outcome_of("HTTP/1.1 204 No Content\r\n\r\n"));
    EXPECT_FALSE(outcome_of("HTTP/1.1 304 Not Modified\r\n\r\n"));
    EXPECT_FALSE(
        outcome_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n" + std::string(kOk)));
    EXPECT_FALSE(outcome_of(std::string(kOk), true));
}

TEST(AnAnswer, OfEachBadShapeIsRefused) {
    const std::string head = "HTTP/1.1 200 OK\r\n";
    EXPECT_EQ(outcome_of("", true), Code::Unavailable);
    EXPECT_EQ(outcome_of("nonsense\r\n\r\n"), Code::Malformed);
    EXPECT_EQ(outcome_of("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), Code::Malformed);
    EXPECT_EQ(outcome_of("HTTP/1.1 101 Switching\r\n\r\n"), Code::Malformed);
    EXPECT_EQ(outcome_of(head + "\r\nuntil the end", true), Code::Malformed);
    EXPECT_EQ(outcome_of(head + "Content-Length: 10\r\n\r\nshort", true), Code::Unavailable);
    EXPECT_EQ(outcome_of(head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
              Code::Malformed);
    EXPECT_EQ(outcome_of(head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              Code::Malformed);
    EXPECT_EQ(outcome_of(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), Code::Malformed);
    EXPECT_EQ(outcome_of(head + "X: " + std::string(20'000, 'x')), Code::TooLarge);
    EXPECT_EQ(outcome_of(head + "Content-Length: 16777217\r\n\r\n"), Code::TooLarge);
    EXPECT_EQ(outcome_of(head + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(70'000, 'x')),
              Code::Malformed);
}

TEST(AnAnswer, MayComeInSmallestPieces) {
    const TempDir dir;
    const std::string bytes =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n";
    const Script script(dir.file("s"), {[&](int fd) {
                            read_request(fd);
                            for (const char c : bytes) say(fd, {&c, 1});
                            wait_for_end(fd);
                        }});
    Asking asking({.unix_path = dir.file("s")});
    const auto answer = asking.get();
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, "ok");
    EXPECT_EQ(answer->header("X-Trailer"), nullptr);
}

TEST(AConnection, HasNoSegmentThatANarrowHopWouldDropWhoeverSendsIt) {
    for (const char* where : {"127.0.0.1:0", "[::1]:0"}) {
        const auto listener = Listener::tcp(*Endpoint::parse(where));
        ASSERT_TRUE(listener) << listener.error().message;
        EventLoop loop;
        std::optional<Result<UniqueFd>> near;
        const Endpoint at = listener->at();
        Connector connector(loop, {.host = at.address.text(), .port = at.port},
                            [&](Result<UniqueFd> fd) { near = std::move(fd); });
        for (int i = 0; i < 500 && !near; ++i) loop.run_once(20ms);
        ASSERT_TRUE(near && *near) << where;
        const UniqueFd far(accept4(listener->fd(), nullptr, nullptr, SOCK_CLOEXEC));
        for (const int fd : {(*near)->get(), far.get()}) {
            int most = 0;
            socklen_t size = sizeof most;
            ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &most, &size), 0);
            EXPECT_LE(most, 1220) << where;
        }
    }
}

TEST(Interleaving, TakesTheFamiliesInTurn) {
    const auto a = [](const char* text) { return *Address::parse(text); };
    EXPECT_EQ(interleaved({a("::1"), a("::2"), a("::3"), a("10.0.0.1")}),
              (std::vector{a("::1"), a("10.0.0.1"), a("::2"), a("::3")}));
    EXPECT_EQ(interleaved({}), std::vector<Address>{});
}

}  // namespace
}  // namespace cvlan::http::test
