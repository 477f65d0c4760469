// SPDX-License-Identifier: Apache-2.0
// Leaving HTTP: what each side has then, whoever is in between, and who is shown which certificate.
#include "http/upgrade.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/http/connect_proxy.h"
#include "tests/http/server_fixture.h"
#include "tests/http/tls_client.h"

namespace cvlan::http::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kAsk =
    "GET /relay HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

// What left HTTP at the server; it says what came ahead, and ends.
struct Left {
    std::promise<Bytes> came;
    Handler handler() {
        return [this](Request, Reply reply) {
            reply.upgrade(
                {.status = 101, .headers = {{"Upgrade", "echo"}, {"Connection", "Upgrade"}}},
                [this](Upgraded upgraded) {
                    SSL* ssl = upgraded.ssl.get();
                    EXPECT_EQ(
                        ssl ? SSL_write(ssl, "hello", 5) : send(upgraded.fd.get(), "hello", 5, 0),
                        5);
                    came.set_value(std::move(upgraded.ahead));
                });
        };
    }
};

TEST(AnUpgrade, GivesTheConnectionAwayBehindItsHead) {
    Left left;
    TestServer server(Limits{}, left.handler());
    RawClient client(server.at());
    client.send(kAsk);
    const std::string head = client.message();
    EXPECT_EQ(status_of(head), 101);
    EXPECT_NE(head.find("Upgrade: echo\r\n"), std::string::npos);
    EXPECT_EQ(head.find("Content-Length"), std::string::npos);
    EXPECT_EQ(client.rest(), "hello");
    EXPECT_TRUE(left.came.get_future().get().empty());
    EXPECT_EQ(server.stats().connections, 0u);
}

TEST(AnUpgrade, GivesWhatCameBehindTheRequestAlong) {
    Left left;
    TestServer server(Limits{}, left.handler());
    RawClient client(server.at());
    client.send(std::string(kAsk) + "ahead");
    EXPECT_EQ(status_of(client.message()), 101);
    EXPECT_EQ(as_text(left.came.get_future().get()), "ahead");
}

TEST(AnUpgrade, OfAServerThatDrainsIsRefused) {
    std::promise<void> came;
    std::optional<Reply> held;
    TestServer server(Limits{}, [&](Request, Reply reply) {
        held.emplace(std::move(reply));
        came.set_value();
    });
    RawClient client(server.at());
    client.send(kAsk);
    came.get_future().wait();
    bool has_left = false;
    server.call([&] {
        server.server().drain(5s, [] {});
        held->upgrade({.status = 101}, [&](Upgraded) { has_left = true; });
    });
    EXPECT_EQ(status_of(client.message()), 503);
    EXPECT_FALSE(has_left);
}

TEST(AnUpgrade, OfAReplyThatWasHandedOverIsAnError) {
    cvlan::LoopThread other;
    TestServer server(Limits{}, [&](Request request, Reply reply) {
        hand_over(std::move(reply), *request.loop, other.loop(),
                  [](Reply over_there) { over_there.upgrade({.status = 101}, [](Upgraded) {}); });
    });
    RawClient client(server.at());
    client.send(kAsk);
    EXPECT_EQ(status_of(client.message()), 500);
}

// An attempt on a loop of its own, and what came of it.
class Attempt {
public:
    explicit Attempt(UpgradeTarget target) {
        target.tls = client_tls({{.ca_pem = authorities().root.pem()}}).value();
        target.headers = {{"Upgrade", "echo"}};
        thread_.call([&] {
            attempt_ = std::make_unique<UpgradeAttempt>(
                thread_.loop(), std::move(target),
                [this](auto result) { done_.set_value(std::move(result)); });
        });
    }
    ~Attempt() {
        thread_.call([&] { attempt_.reset(); });
    }
    Result<std::pair<Upgraded, Response>> result() { return done_.get_future().get(); }

private:
    cvlan::LoopThread thread_;
    std::promise<Result<std::pair<Upgraded, Response>>> done_;
    std::unique_ptr<UpgradeAttempt> attempt_;
};

UpgradeTarget to(const Endpoint& at) {
    UpgradeTarget target{.server_name = "localhost"};
    target.addresses = {at.address};
    target.port = at.port;
    target.path = "/relay";
    return target;
}

std::string read_up_to(SSL* ssl, size_t size) {
    std::string text;
    while (text.size() < size) {
        char bytes[64];
        const int got = SSL_read(ssl, bytes, sizeof bytes);
        if (got <= 0 && SSL_get_error(ssl, got) != SSL_ERROR_WANT_READ) break;
        if (got > 0) text.append(bytes, static_cast<size_t>(got));
    }
    return text;
}

TEST(AnUpgradeAttempt, EndsWithTheConnection) {
    Left left;
    TestServer server(authorities().options(ClientCert::None), {}, left.handler());
    Attempt attempt(to(server.at()));
    auto result = attempt.result();
    ASSERT_TRUE(result) << result.error().message;
    auto& [upgraded, head] = *result;
    EXPECT_EQ(head.status, 101);
    EXPECT_EQ(*head.header("Upgrade"), "echo");
    const std::string ahead(as_text(upgraded.ahead));
    EXPECT_EQ(ahead + read_up_to(upgraded.ssl.get(), 5 - ahead.size()), "hello");
}

TEST(AnUpgradeAttempt, SaysThatTheAnswerWasAnother) {
    TestServer server(authorities().options(ClientCert::None), {});
    Attempt attempt(to(server.at()));
    const auto result = attempt.result();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().reason, kNotUpgraded);
}

TEST(AnUpgradeAttempt, BelievesItsCaAlone) {
    TlsServerOptions strange = authorities().options(ClientCert::None);
    const auto cert = authorities().stranger.issue({});
    strange.certificate_chain_pem = cert.cert_pem + authorities().stranger.pem();
    strange.private_key_pem = SecretText(cert.key_pem);
    TestServer server(strange, {});
    Attempt attempt(to(server.at()));
    const auto result = attempt.result();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::Denied);
}

TEST(AnUpgradeAttempt, GivesUpInTime) {
    TestServer server(authorities().options(ClientCert::None), {}, [](Request, Reply reply) {
        static std::optional<Reply> held;
        held.emplace(std::move(reply));
    });
    UpgradeTarget target = to(server.at());
    target.timeout = 300ms;
    Attempt attempt(std::move(target));
    const auto result = attempt.result();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::Unavailable);
}

TEST(AnUpgradeAttempt, GoesThroughAProxy) {
    Left left;
    TestServer server(authorities().options(ClientCert::None), {}, left.handler());
    ConnectProxy proxy("HTTP/1.1 200 Connection established\r\n\r\n", server.at());
    UpgradeTarget target = to(server.at());
    target.proxy = proxy.target();
    Attempt attempt(std::move(target));
    auto result = attempt.result();
    ASSERT_TRUE(result) << result.error().message;
    const std::string where = "127.0.0.1:" + std::to_string(server.at().port);
    EXPECT_TRUE(proxy.asked().starts_with("CONNECT " + where + " HTTP/1.1\r\n")) << proxy.asked();
    EXPECT_NE(proxy.asked().find("\r\nHost: " + where + "\r\n"), std::string::npos);
    EXPECT_NE(proxy.asked().find("\r\nProxy-Authorization: Basic dTpw\r\n"), std::string::npos);
}

TEST(AnUpgradeAttempt, SaysWhyAProxyDoesNotLetItThrough) {
    const std::pair<const char*, Code> answers[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", Code::Denied},
        {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!", Code::Unavailable},
        {"HTTP/1.1 200 OK\r\n\r\nhello", Code::Malformed},
        {"220 mail.example.com ESMTP\r\n\r\n", Code::Malformed},
    };
    for (const auto& [answer, code] : answers) {
        SCOPED_TRACE(answer);
        ConnectProxy proxy(answer, std::nullopt);
        UpgradeTarget target = to(*Endpoint::parse("192.0.2.1:443"));
        target.proxy = proxy.target();
        Attempt attempt(std::move(target));
        const auto result = attempt.result();
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().code, code) << result.error().message;
    }
}

// Two identities on one port, each with clients of its own.
struct TwoNames {
    cvlan::test::TestCa a{"a"}, b{"b"};
    TlsServerNames names() const {
        TlsServerNames all;
        for (const auto& [ca, name] : {std::pair{&a, "a.example"}, std::pair{&b, "b.example"}}) {
            const auto cert = ca->issue({.name = name, .san = std::string("DNS:") + name});
            all[name] = {cert.cert_pem + ca->pem(),
                         SecretText(cert.key_pem),
                         {ca->pem()},
                         ClientCert::Required};
        }
        return all;
    }
};

std::string named(const Endpoint& at, const cvlan::test::IssuedCert& own, const char* name,
                  int* alert) {
    RawClient raw(at);
    const SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
    const std::unique_ptr<BIO, decltype(&BIO_free)> cert(BIO_new_mem_buf(own.cert_pem.data(), -1),
                                                         BIO_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> key(BIO_new_mem_buf(own.key_pem.data(), -1),
                                                        BIO_free);
    X509* leaf = PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr);
    EVP_PKEY* secret = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
    SSL_CTX_use_certificate(context.get(), leaf);
    SSL_CTX_use_PrivateKey(context.get(), secret);
    X509_free(leaf);
    EVP_PKEY_free(secret);
    const SslPtr ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), raw.fd());
    if (name) SSL_set_tlsext_host_name(ssl.get(), name);
    ERR_clear_error();
    constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    char bytes[4096];
    int got = 0;
    if (SSL_connect(ssl.get()) == 1 && SSL_write(ssl.get(), kGet.data(), kGet.size()) > 0)
        got = SSL_read(ssl.get(), bytes, sizeof bytes);
    *alert = ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET;
    return got > 0 ? peer_name(ssl.get()) : "";
}

TEST(AServerOfSeveralNames, ShowsTheCertificateThatIsAskedForAndTakesItsClientsAlone) {
    const TwoNames two;
    std::unique_ptr<Server> server;
    std::vector<std::string> seen;
    cvlan::LoopThread thread;
    const Endpoint at = thread.call([&] {
        server = Server::listen_tls(thread.loop(), *Endpoint::parse("127.0.0.1:0"), two.names(),
                                    {[&](Request request, Reply reply) {
                                        seen.push_back(request.server_name);
                                        reply.send({.body = "x"});
                                    }})
                     .value();
        return server->endpoint();
    });
    const auto of_a = two.a.issue({.eku = "clientAuth"}), of_b = two.b.issue({.eku = "clientAuth"});
    int alert = 0;
    EXPECT_EQ(named(at, of_a, "a.example", &alert), "a.example");
    EXPECT_EQ(named(at, of_b, "b.example", &alert), "b.example");
    EXPECT_EQ(named(at, of_a, "b.example", &alert), "");
    EXPECT_EQ(alert, SSL_AD_UNKNOWN_CA);
    for (const char* name : {static_cast<const char*>(nullptr), "c.example", "A.example."}) {
        EXPECT_EQ(named(at, of_a, name, &alert), "");
        EXPECT_EQ(alert, SSL_AD_UNRECOGNIZED_NAME);
    }
    thread.call([&] {
        EXPECT_FALSE(server->update_tls(TlsServerNames{}));
        TlsServerNames only_b = two.names();
        only_b.erase("a.example");
        EXPECT_TRUE(server->update_tls(only_b));
    });
    EXPECT_EQ(named(at, of_a, "a.example", &alert), "");
    thread.call([&] { server.reset(); });
    EXPECT_EQ(seen, (std::vector<std::string>{"a.example", "b.example"}));
}

}  // namespace
}  // namespace cvlan::http::test
