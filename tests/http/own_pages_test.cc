// SPDX-License-Identifier: Apache-2.0
// What a daemon shows of itself: to its own machine, by its own names, and nothing else.
#include "http/own_pages.h"

#include "tests/http/server_fixture.h"

namespace cvlan::http::test {
namespace {

class OwnPagesTest : public testing::Test {
protected:
    void TearDown() override {
        thread.call([&] { server.reset(); });
    }
    std::optional<Error> listen(const std::string& at) {
        return thread.call([&]() -> std::optional<Error> {
            auto made = listen_own_pages(thread.loop(), *Endpoint::parse(at),
                                         {[this] {
                                              ++shown;
                                              return std::string("one_total 7\n");
                                          },
                                          [this] { return is_ready.load(); }});
            if (!made) return made.error();
            server = std::move(*made);
            where = server->endpoint();
            return std::nullopt;
        });
    }
    std::string ask(const std::string& path, const std::string& host,
                    const std::string& method = "GET") {
        RawClient client(where);
        client.send(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
        return client.message();
    }

    cvlan::LoopThread thread;
    std::atomic<bool> is_ready = false;
    std::atomic<int> shown = 0;
    std::unique_ptr<Server> server;
    Endpoint where;
};

TEST_F(OwnPagesTest, SayWhatTheDaemonCountsWhetherItRunsAndWhetherItIsReady) {
    ASSERT_FALSE(listen("127.0.0.1:0"));
    const std::string metrics = ask("/metrics", "localhost");
    EXPECT_EQ(status_of(metrics), 200);
    EXPECT_EQ(body_of(metrics), "one_total 7\n");
    EXPECT_NE(metrics.find("Content-Type: text/plain; version=0.0.4\r\n"), std::string::npos);
    EXPECT_EQ(status_of(ask("/health", "localhost")), 200);
    EXPECT_EQ(status_of(ask("/ready", "localhost")), 503);
    is_ready = true;
    EXPECT_EQ(status_of(ask("/ready", "localhost")), 200);
    EXPECT_EQ(status_of(ask("/", "localhost")), 404);
    EXPECT_EQ(status_of(ask("/metrics/", "localhost")), 404);
}

// A page in this machine's browser whose own name leads here, by DNS that was changed under it.
TEST_F(OwnPagesTest, AreNotShownByAForeignName) {
    ASSERT_FALSE(listen("127.0.0.2:0"));
    const std::string port = ":" + std::to_string(where.port);
    for (const char* host : {"localhost", "LOCALHOST", "127.0.0.1", "127.0.0.2", "[::1]"})
        for (const std::string& with : {std::string(), port})
            EXPECT_EQ(status_of(ask("/metrics", host + with)), 200) << host << with;
    const int before = shown;
    for (const char* host : {"rebound.example", "localhost.rebound.example", "127.0.0.3",
                             "192.0.2.1", "[::2]", "localhost."})
        for (const char* path : {"/metrics", "/health", "/ready", "/nothing"})
            EXPECT_EQ(status_of(ask(path, host)), 421) << host << path;
    EXPECT_EQ(shown, before);
}

TEST_F(OwnPagesTest, TakeNothing) {
    ASSERT_FALSE(listen("127.0.0.1:0"));
    RawClient client(where);
    client.send("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx");
    EXPECT_EQ(status_of(client.message()), 413);
    EXPECT_EQ(shown, 0);
}

TEST_F(OwnPagesTest, AreForThisMachineAlone) {
    const auto error = listen("0.0.0.0:0");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Code::Denied);
    EXPECT_TRUE(error->message.starts_with("metrics: ")) << error->message;
}

}  // namespace
}  // namespace cvlan::http::test
