// SPDX-License-Identifier: Apache-2.0
#include "api/polls.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "http/exchange.h"

namespace cvlan::api {
namespace {

struct PollsTest : testing::Test {
    EventLoop loop;
    ManualClock clock{from_unix_ms(1'800'000'000'000)};
    std::map<std::string, int> asked, status;
    std::set<std::string> has_news;
    Polls polls{loop, clock};  // ends first: it answers who still waits

    void hold(const std::string& node, const std::vector<std::string>& networks) {
        auto exchange = std::make_shared<http::Exchange>(http::Exchange{
            [this, node](const http::Response& response) { status[node] = response.status; },
            "request"});
        const auto ask = [this, node]() -> std::optional<http::Response> {
            ++asked[node];
            if (has_news.contains(node)) return http::Response{.status = 200};
            return std::nullopt;
        };
        polls.hold({"tenant", node, "request", networks, std::chrono::seconds(60)}, ask,
                   http::Reply(exchange));
        exchanges.push_back(std::move(exchange));
    }
    void wake(const maps::Touched& touched) {
        polls.wake(touched);
        while (polls.is_waking()) loop.run_once(std::chrono::milliseconds(0));
    }
    std::vector<std::shared_ptr<http::Exchange>> exchanges;
};

TEST_F(PollsTest, AChangeOfANetworkAsksItsMembersAndNobodyElse) {
    hold("a", {"one"});
    hold("b", {"one", "two"});
    hold("c", {"two"});
    has_news = {"a", "b", "c"};
    wake({{"one"}, {}});
    EXPECT_EQ(status, (std::map<std::string, int>{{"a", 200}, {"b", 200}}));
    EXPECT_EQ(asked["c"], 0);
    EXPECT_EQ(polls.waiting(), 1u);
    wake({{"two"}, {}});
    EXPECT_EQ(asked["b"], 1) << "it has its answer and waits no more";
    EXPECT_EQ(status["c"], 200);
}

TEST_F(PollsTest, WhoHasNoNewsGoesOnWaitingAndHearsOfTheNextChange) {
    hold("a", {"one", "two"});
    wake({{"one"}, {}});
    wake({{"one"}, {}});
    wake({{"two"}, {}});
    EXPECT_EQ(asked["a"], 3);
    has_news = {"a"};
    wake({{"one"}, {}});
    EXPECT_EQ(status["a"], 200);
}

TEST_F(PollsTest, ASingleNodeIsWokenByItsName) {
    hold("a", {"one"});
    hold("b", {"one"});
    has_news = {"a", "b"};
    wake({{}, {"b", "who is not there"}});
    EXPECT_EQ(status, (std::map<std::string, int>{{"b", 200}}));
}

TEST_F(PollsTest, AThousandAreAnsweredInSlicesAndAllOfThem) {
    for (int n = 0; n < 1000; ++n) {
        hold(std::to_string(n), {"one"});
        has_news.insert(std::to_string(n));
    }
    polls.wake({{"one"}, {}});
    EXPECT_TRUE(status.empty()) << "the writer's answer goes first";
    loop.run_once(std::chrono::milliseconds(0));
    EXPECT_GT(status.size(), 0u);
    EXPECT_LT(status.size(), 1000u);
    while (polls.is_waking()) loop.run_once(std::chrono::milliseconds(0));
    EXPECT_EQ(status.size(), 1000u);
    EXPECT_EQ(polls.waiting(), 0u);
}

TEST_F(PollsTest, WhoLeavesOrIsReplacedWhileWakingIsNotAskedAnyMore) {
    hold("a", {"one"});
    hold("b", {"one"});
    polls.wake({{"one"}, {}});
    const auto gone = exchanges[0]->gone;
    gone();
    hold("b", {"one"});
    EXPECT_EQ(status["b"], 409);
    while (polls.is_waking()) loop.run_once(std::chrono::milliseconds(0));
    EXPECT_EQ(asked["a"], 0);
    EXPECT_EQ(asked["b"], 0) << "the newer one came after the change and has asked by itself";
    EXPECT_EQ(polls.waiting(), 1u);
}

}  // namespace
}  // namespace cvlan::api
