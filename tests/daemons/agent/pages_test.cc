// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/pages.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "tests/http/raw_client.h"

namespace cvlan::agent {
namespace {

using namespace std::chrono_literals;

TEST(AgentPages, AreServedAsSoonAsThePortIsFree) {
    EventLoop loop;
    const auto turn_until = [&](const auto& is_so) {
        for (int i = 0; i < 500 && !is_so(); ++i) loop.run_once(10ms);
        return is_so();
    };
    auto holder = http::listen_own_pages(loop, *Endpoint::parse("127.0.0.1:0"),
                                         {[] { return "another's"; }, [] { return true; }});
    ASSERT_TRUE(holder);
    const Endpoint at{*Address::parse("127.0.0.1"), (*holder)->port()};
    Pages pages(loop, at, {[] { return "ours\n"; }, [] { return false; }}, 10ms);
    EXPECT_NE(pages.trouble(), "");
    holder->reset();
    EXPECT_TRUE(turn_until([&] { return pages.trouble().empty(); }));
    const auto get = [&](const std::string& path) {
        http::test::RawClient client(at);
        client.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        pollfd ready{client.fd(), POLLIN, 0};
        EXPECT_TRUE(turn_until([&] { return poll(&ready, 1, 0) == 1; }));
        return client.message();
    };
    EXPECT_TRUE(get("/metrics").ends_with("\r\n\r\nours\n"));
    EXPECT_TRUE(get("/ready").starts_with("HTTP/1.1 503 "));
    EXPECT_TRUE(get("/health").starts_with("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace cvlan::agent
