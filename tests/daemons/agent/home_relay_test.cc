// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/home_relay.h"

#include <gtest/gtest.h>

#include <map>

namespace cvlan::agent {
namespace {

using namespace std::chrono_literals;
using Relays = std::vector<HomeRelay::Relay>;

TEST(HomeRelay, IsTheNearestAndOfThoseUnknownTheFirst) {
    HomeRelay home;
    EXPECT_EQ(home.choose({}, 0s), "");
    EXPECT_EQ(home.choose(Relays{{"a"}, {"b", 30ms}, {"c", 20ms}}, 0s), "c");
    EXPECT_EQ(HomeRelay().choose(Relays{{"a"}, {"b"}}, 0s), "a");
}

TEST(HomeRelay, StaysWhereItIsForAWobble) {
    HomeRelay home;
    home.choose(Relays{{"a", 20ms}, {"b", 40ms}}, 0s);
    for (auto now = 0s; now < 600s; now += 5s)
        EXPECT_EQ(home.choose(Relays{{"a", 28ms}, {"b", 20ms}}, now), "a");
    // Nearer, but not for long enough at once.
    for (auto now = 600s; now < 1200s; now += 5s)
        EXPECT_EQ(home.choose(Relays{{"a", now.count() % 30 ? 80ms : 20ms}, {"b", 20ms}}, now),
                  "a");
}

TEST(HomeRelay, MovesToOneThatIsMuchNearerForAMinute) {
    HomeRelay home;
    home.choose(Relays{{"a", 20ms}, {"b", 40ms}}, 0s);
    const Relays moved{{"a", 90ms}, {"b", 40ms}};
    EXPECT_EQ(home.choose(moved, 10s), "a");
    EXPECT_EQ(home.choose(moved, 69s), "a");
    EXPECT_EQ(home.choose(moved, 70s), "b");
}

TEST(HomeRelay, IsLeftWhenItIsDownAndNoChoiceUntilASessionThereHasStood) {
    HomeRelay home;
    EXPECT_EQ(home.choose(Relays{{"a", 20ms}, {"b", 40ms}}, 100s), "a");
    const Relays down{{"a", 20ms, 101s}, {"b", 40ms}};
    EXPECT_EQ(home.choose(down, 102s), "a");
    EXPECT_EQ(home.choose(down, 103s), "b");
    EXPECT_TRUE(home.is_left("a"));
    // It answers STUN, as it did all the time. That nobody has tried it since is no reason.
    const Relays untried{{"a", 20ms}, {"b", 40ms}};
    for (auto now = 104s; now < 900s; now += 5s) EXPECT_EQ(home.choose(untried, now), "b");
    const Relays healed{{"a", 20ms, std::nullopt, true}, {"b", 40ms}};
    EXPECT_EQ(home.choose(healed, 900s), "b");  // nearer from now on
    EXPECT_EQ(home.choose(untried, 959s), "b");
    EXPECT_EQ(home.choose(untried, 960s), "a");
}

// Seen with one relay unplugged and the other stuck: home went to and fro, by time alone.
TEST(HomeRelay, WhereAllAreDownItChangesOnceAndStays) {
    HomeRelay home;
    EXPECT_EQ(home.choose(Relays{{"a", 20ms}, {"b", 40ms}}, 0s), "a");
    for (auto now = 2s; now < 20s; now += 1s)
        EXPECT_EQ(home.choose(Relays{{"a", 20ms, 0s}, {"b", 40ms}}, now), "b");
    for (auto now = 20s; now < 900s; now += 1s)
        EXPECT_EQ(home.choose(Relays{{"a", 20ms, 0s}, {"b", 40ms, 18s}}, now), "b") << now.count();
}

TEST(HomeRelay, OfThoseThatWereDownTheOneThatAnswersIsTaken) {
    HomeRelay home;
    home.choose(Relays{{"a", 20ms, 0s}, {"b", 40ms}}, 2s);
    EXPECT_EQ(home.choose(Relays{{"a", 20ms, 0s}, {"b", 40ms, 2s}}, 4s), "b");
    EXPECT_EQ(home.choose(Relays{{"a", 20ms}, {"b", 40ms, 2s}}, 5s), "b") << "not answered yet";
    EXPECT_EQ(home.choose(Relays{{"a", 20ms, std::nullopt, true}, {"b", 40ms, 2s}}, 6s), "a");
}

TEST(HomeRelay, OneThatIsKnownToBeDownIsNotGoneTo) {
    HomeRelay home;
    const Relays relays{{"a", 20ms}, {"b", 30ms, 0s}, {"c", 40ms}};
    EXPECT_EQ(home.choose(relays, 10s), "a");
    EXPECT_EQ(home.choose(Relays{{"a", 20ms, 11s}, {"b", 30ms, 0s}, {"c", 40ms}}, 13s), "c");
}

TEST(HomeRelay, InAnotherNetworkEachIsAChoiceAgain) {
    HomeRelay home;
    home.choose(Relays{{"a", 20ms, 0s}, {"b", 40ms}}, 2s);
    ASSERT_TRUE(home.is_left("a"));
    home.network_changed();
    EXPECT_FALSE(home.is_left("a"));
    EXPECT_EQ(home.choose(Relays{{"a", 20ms}, {"b", 40ms, 0s}}, 3s), "a");
}

TEST(HomeRelay, OneThatLeftTheMapIsLeftAtOnce) {
    HomeRelay home;
    EXPECT_EQ(home.choose(Relays{{"a", 20ms}, {"b", 40ms}}, 0s), "a");
    EXPECT_EQ(home.choose(Relays{{"b", 40ms}}, 1s), "b");
    EXPECT_EQ(home.choose({}, 2s), "");
}

TEST(OrderOf, IsTheSameForANodeAndAnotherForOthers) {
    const std::vector<std::string> ids{"r1", "r2", "r3", "r4"};
    EXPECT_EQ(order_of(ids, "n1"), order_of({"r4", "r3", "r2", "r1"}, "n1"));
    std::map<std::string, int> first;
    for (int n = 0; n < 100; ++n) ++first[order_of(ids, std::to_string(n)).front()];
    for (const std::string& id : ids) EXPECT_GT(first[id], 10) << id;
}

}  // namespace
}  // namespace cvlan::agent
