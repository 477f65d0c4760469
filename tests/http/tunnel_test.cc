// SPDX-License-Identifier: Apache-2.0
#include "http/tunnel.h"

#include <gtest/gtest.h>

#include <future>

#include "http/client.h"
#include "tests/http/connect_proxy.h"
#include "tests/http/server_fixture.h"
#include "tests/http/tls_client.h"

namespace cvlan::http::test {
namespace {

TEST(ParseProxy, TakesAHostAPortAndWhoAsks) {
    const auto plain = parse_proxy("http://proxy.example:3128");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->host, "proxy.example");
    EXPECT_EQ(plain->port, 3128);
    EXPECT_TRUE(plain->authorization.empty());
    EXPECT_EQ(plain->text(), "http://proxy.example:3128");
    const auto v6 = parse_proxy("http://[2001:db8::1]:8080/");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->host, "2001:db8::1");
    EXPECT_EQ(v6->text(), "http://[2001:db8::1]:8080");
    const auto known = parse_proxy("http://me:p%40ss:word@10.0.0.1:8080");
    ASSERT_TRUE(known);
    EXPECT_EQ(known->host, "10.0.0.1");
    EXPECT_EQ(known->authorization.reveal(), "Basic bWU6cEBzczp3b3Jk");  // me:p@ss:word
    EXPECT_EQ(known->text(), "http://***@10.0.0.1:8080");
}

TEST(ParseProxy, RefusesWhatIsNoneAndTellsNoSecret) {
    for (const char* wrong :
         {"", "proxy:3128", "https://proxy:3128", "http://", "http://proxy", "http://[2001:db8::1]",
          "http://proxy:0", "http://proxy:99999", "http://secret@proxy:1", "http://secret:%4@p:1",
          "http://me:secret@:1", "http://proxy:1/path", "http://pro xy:1"}) {
        const auto proxy = parse_proxy(wrong);
        ASSERT_FALSE(proxy) << wrong;
        EXPECT_EQ(proxy.error().message.find("secret"), std::string::npos);
    }
}

// What one GET by a client with this proxy gives.
Result<Response> get_through(const ConnectProxy& proxy, uint16_t port) {
    cvlan::LoopThread thread;
    std::promise<Result<Response>> done;
    std::unique_ptr<Client> client;
    thread.call([&] {
        ClientOptions options;
        options.host = "localhost";
        options.port = port;
        options.trust.ca_pem = authorities().root.pem();
        options.proxy = proxy.target();
        client = std::move(Client::open(thread.loop(), std::move(options)).value());
        client->request({.target = "/"},
                        [&](Result<Response> result) { done.set_value(std::move(result)); });
    });
    auto result = done.get_future().get();
    thread.call([&] { client.reset(); });
    return result;
}

TEST(AClient, GoesThroughAProxyThatIsToldTheName) {
    TestServer server(authorities().options(ClientCert::None), {});
    ConnectProxy proxy("HTTP/1.1 200 Connection established\r\n\r\n", server.at());
    const auto answer = get_through(proxy, server.at().port);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    const std::string where = fmt::format("localhost:{}", server.at().port);
    EXPECT_TRUE(proxy.asked().starts_with("CONNECT " + where + " HTTP/1.1\r\n")) << proxy.asked();
}

TEST(AClient, IsToldWhyTheProxyDoesNotLetItThrough) {
    ConnectProxy proxy("HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", std::nullopt);
    const auto answer = get_through(proxy, 443);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Denied);
    EXPECT_NE(answer.error().message.find("407"), std::string::npos);
}

}  // namespace
}  // namespace cvlan::http::test
