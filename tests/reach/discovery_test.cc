// SPDX-License-Identifier: Apache-2.0
#include "reach/discovery.h"

#include <gtest/gtest.h>

#include <map>

namespace cvlan::reach {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Varies = Discovery::Varies;

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }
const Endpoint kNear = at("192.0.2.1:3478");
const Endpoint kFar = at("192.0.2.2:3478");
const Endpoint kFarther = at("192.0.2.3:3478");
const Endpoint kMine = at("198.51.100.7:40000");

struct Outside {
    uint8_t count = 0;
    Discovery discovery{7, [this] {
                            stun::TransactionId id{};
                            id[0] = ++count;
                            return id;
                        }};
    BootTime now{100'000};
    struct Seen {
        milliseconds trip;
        Endpoint mapped;
    };
    std::map<Endpoint, Seen> servers;  // those that answer
    std::map<Endpoint, int> asked;
    int changes = 0;
    int forgotten = 0;

    Outside() { servers = {{kNear, {milliseconds(10), kMine}}, {kFar, {milliseconds(50), kMine}}}; }
    void set(std::vector<Endpoint> list) { discovery.set_servers(list, now); }
    void run(milliseconds span) {
        std::multimap<BootTime, Discovery::Question> answers;
        auto before = discovery.result();
        const BootTime end = now + span;
        while (now < end) {
            for (const auto& question : discovery.step(now)) {
                ++asked[question.server];
                const auto server = servers.find(question.server);
                if (server != servers.end()) answers.emplace(now + server->second.trip, question);
            }
            while (!answers.empty() && answers.begin()->first <= now) {
                const auto question = answers.begin()->second;
                answers.erase(answers.begin());
                discovery.answered(question.transaction, question.server,
                                   servers.at(question.server).mapped, now);
            }
            changes += discovery.result() != before;
            forgotten += is_forgotten(before, discovery.result());
            before = discovery.result();
            const BootTime answer = answers.empty() ? end : answers.begin()->first;
            const BootTime next = std::min({discovery.deadline(), answer, end});
            now = std::max(next, now + milliseconds(1));
        }
    }
};

TEST(Discovery, TellsHowThePortIsSeenAndThatItIsTheSameForTwo) {
    Outside outside;
    outside.set({kFar, kNear});
    outside.run(seconds(1));
    EXPECT_EQ(outside.discovery.result(), (Discovery::Result{kMine, Varies::No, true, kNear}));
    EXPECT_EQ(outside.discovery.round_trip(kNear), milliseconds(10));
    EXPECT_EQ(outside.discovery.round_trip(kFar), milliseconds(50));
}

TEST(Discovery, AMappingForEachDestinationIsTold) {
    Outside outside;
    outside.servers[kFar].mapped = at("198.51.100.7:40001");
    outside.set({kNear, kFar});
    outside.run(seconds(1));
    EXPECT_EQ(outside.discovery.result(), (Discovery::Result{kMine, Varies::Yes, true, kNear}));
}

TEST(Discovery, AMappingThatChangedDoesNotLookLikeOneForEachDestination) {
    Outside outside;
    outside.set({kNear, kFar});
    outside.discovery.set_needed(true, outside.now);
    outside.run(seconds(5));
    const int before = outside.changes;
    for (auto& [server, seen] : outside.servers) seen.mapped = at("198.51.100.7:41000");
    outside.run(seconds(31));
    EXPECT_EQ(outside.discovery.result().mapped, at("198.51.100.7:41000"));
    EXPECT_EQ(outside.discovery.result().varies, Varies::No);
    EXPECT_EQ(outside.changes, before + 1);
}

// A symmetric NAT maps another port for another server: connections are not to be opened anew for
// that one of two servers was away.
TEST(Discovery, AServerThatComesAndGoesIsNoMappingThatIsForgotten) {
    Outside outside;
    outside.servers[kFar].mapped = at("198.51.100.7:40001");
    outside.discovery.set_needed(true, outside.now);
    outside.set({kNear, kFar});
    outside.run(seconds(60));
    EXPECT_EQ(outside.discovery.result().varies, Varies::Yes);
    for (const Endpoint& away : {kNear, kFar, kNear}) {
        const auto seen = outside.servers.extract(away);
        outside.run(seconds(120));
        EXPECT_EQ(outside.discovery.result().varies, Varies::Unknown);
        outside.servers[away] = seen.mapped();
        outside.discovery.measure(outside.now);
        outside.run(seconds(60));
        EXPECT_EQ(outside.discovery.result().varies, Varies::Yes);
    }
    EXPECT_EQ(outside.forgotten, 0);
}

TEST(Discovery, AMappingThatIsAnotherForTheSameServerIsForgotten) {
    Outside outside;
    outside.servers.erase(kFar);
    outside.set({kNear, kFar});
    outside.run(seconds(10));
    const auto before = outside.discovery.result();
    EXPECT_EQ(before.varies, Varies::Unknown);
    outside.servers[kNear].mapped = at("198.51.100.7:41000");
    outside.discovery.measure(outside.now);
    outside.run(seconds(10));
    EXPECT_TRUE(is_forgotten(before, outside.discovery.result()));
    EXPECT_FALSE(is_forgotten(before, before));
}

TEST(Discovery, AServerThatIsBackIsFoundByAProbeAndOneThatIsGoneIsLostByIt) {
    Outside outside;
    outside.set({kNear, kFar});
    outside.run(seconds(10));
    const auto away = outside.servers.extract(kNear);
    outside.discovery.probe(kNear, outside.now);
    EXPECT_FALSE(outside.discovery.is_asking());
    outside.run(milliseconds(900));
    EXPECT_TRUE(outside.discovery.round_trip(kNear));
    outside.run(milliseconds(200));
    EXPECT_FALSE(outside.discovery.round_trip(kNear));
    outside.servers[kNear] = away.mapped();
    outside.asked.clear();
    outside.discovery.probe(kNear, outside.now);
    outside.discovery.probe(kNear, outside.now);
    outside.run(milliseconds(100));
    EXPECT_EQ(outside.asked[kNear], 1);
    EXPECT_EQ(outside.discovery.round_trip(kNear), milliseconds(10));
}

TEST(Discovery, OneServerCanNotTellWhetherItVaries) {
    Outside outside;
    outside.set({kNear});
    outside.run(seconds(1));
    EXPECT_EQ(outside.discovery.result(), (Discovery::Result{kMine, Varies::Unknown, true, kNear}));
}

TEST(Discovery, RefreshesEvery20To30SecondsWhileThereIsNeed) {
    Outside outside;
    outside.set({kNear, kFar});
    outside.discovery.set_needed(true, outside.now);
    outside.run(seconds(240));
    EXPECT_GE(outside.asked[kNear], 8);
    EXPECT_LE(outside.asked[kNear], 13);
}

TEST(Discovery, IsAskedAnewAtAllServersForSomebodyWhoWaits) {
    Outside outside;
    outside.set({kNear, kFar});
    outside.run(seconds(30));
    EXPECT_FALSE(outside.discovery.is_asking());
    const int near = outside.asked[kNear], far = outside.asked[kFar];
    outside.servers[kNear].trip = milliseconds(90);
    outside.discovery.measure(outside.now);
    EXPECT_TRUE(outside.discovery.is_asking());
    EXPECT_EQ(outside.discovery.round_trip(kNear), milliseconds(10));  // until there is an answer
    outside.run(milliseconds(400));
    EXPECT_FALSE(outside.discovery.is_asking());
    EXPECT_EQ(outside.discovery.round_trip(kNear), milliseconds(90));
    EXPECT_EQ(outside.asked[kNear], near + 1);
    EXPECT_EQ(outside.asked[kFar], far + 1);
}

TEST(Discovery, ThatIsMeasuredTellsOfAServerThatIsGoneWithinFourSeconds) {
    Outside outside;
    outside.set({kNear});
    outside.run(seconds(5));
    outside.servers.clear();
    outside.discovery.measure(outside.now);
    outside.run(seconds(4));
    EXPECT_FALSE(outside.discovery.is_asking());
    EXPECT_EQ(outside.discovery.round_trip(kNear), std::nullopt);
}

TEST(Discovery, IsQuietWhenNobodyNeedsIt) {
    Outside outside;
    outside.set({kNear, kFar});
    outside.run(seconds(600));
    EXPECT_EQ(outside.asked[kNear], 1);
    EXPECT_EQ(outside.discovery.deadline(), BootTime::max());
    outside.discovery.set_needed(true, outside.now);
    outside.run(milliseconds(300));
    EXPECT_EQ(outside.asked[kNear], 2) << "what is known is old";
}

TEST(Discovery, TheNearestTwoAreRefreshedAndAllNowAndThen) {
    Outside outside;
    outside.servers[kFarther] = {milliseconds(90), kMine};
    outside.set({kFarther, kFar, kNear});
    outside.discovery.set_needed(true, outside.now);
    outside.run(seconds(240));
    EXPECT_EQ(outside.asked[kFarther], 1);
    outside.run(seconds(120));
    EXPECT_EQ(outside.asked[kFarther], 2);
    EXPECT_EQ(outside.discovery.round_trip(kFarther), milliseconds(90));
}

TEST(Discovery, ALostServerIsReplacedByTheNext) {
    Outside outside;
    outside.servers[kFarther] = {milliseconds(90), kMine};
    outside.set({kNear, kFar, kFarther});
    outside.discovery.set_needed(true, outside.now);
    outside.run(seconds(5));
    outside.servers.erase(kNear);
    outside.run(seconds(65));
    EXPECT_EQ(outside.discovery.round_trip(kNear), std::nullopt);
    EXPECT_GE(outside.asked[kFarther], 2);
    EXPECT_EQ(outside.discovery.result(), (Discovery::Result{kMine, Varies::No, true, kFar}));
    // It comes back into use by the round that asks all.
    outside.servers[kNear] = {milliseconds(10), kMine};
    outside.run(seconds(310));
    EXPECT_EQ(outside.discovery.round_trip(kNear), milliseconds(10));
}

TEST(Discovery, WhereNoServerAnswersThatIsTheResult) {
    Outside outside;
    outside.servers.clear();
    outside.set({kNear, kFar});
    outside.run(seconds(5));
    EXPECT_EQ(outside.discovery.result(), (Discovery::Result{std::nullopt, Varies::Unknown, true}));
    EXPECT_EQ(outside.asked[kNear], 4);
}

TEST(Discovery, WithoutAnAnswerNothingIsSaidTooEarly) {
    Outside outside;
    outside.set({kNear, kFar});
    outside.run(milliseconds(30));
    EXPECT_FALSE(outside.discovery.result().is_asked && outside.discovery.result().mapped);
}

TEST(Discovery, LossesAreBridgedByRepetition) {
    Outside outside;
    const auto servers = outside.servers;
    outside.servers.clear();
    outside.set({kNear, kFar});
    outside.run(milliseconds(1200));
    outside.servers = servers;
    outside.run(seconds(3));
    EXPECT_EQ(outside.discovery.result().mapped, kMine);
}

TEST(Discovery, AnotherNetworkIsAskedAboutAtOnce) {
    Outside outside;
    outside.set({kNear, kFar});
    outside.run(seconds(100));
    for (auto& [server, seen] : outside.servers) seen.mapped = at("203.0.113.9:1");
    outside.discovery.network_changed(outside.now);
    EXPECT_EQ(outside.discovery.result().mapped, std::nullopt);
    outside.run(seconds(1));
    EXPECT_EQ(outside.discovery.result().mapped, at("203.0.113.9:1"));
}

TEST(Discovery, WhereAPathHasGoneSilentItIsAskedAtOnceButNotAllTheTime) {
    Outside outside;
    outside.set({kNear, kFar});
    outside.discovery.set_needed(true, outside.now);
    outside.run(seconds(6));
    const int asked = outside.asked[kNear];
    const Endpoint other = at("198.51.100.7:41000");
    outside.servers[kNear].mapped = outside.servers[kFar].mapped = other;
    outside.discovery.doubt(outside.now);
    outside.run(milliseconds(100));
    EXPECT_EQ(outside.discovery.result().mapped, other);
    EXPECT_EQ(outside.asked[kNear], asked + 1);
    outside.discovery.doubt(outside.now);
    outside.run(seconds(4));
    EXPECT_EQ(outside.asked[kNear], asked + 1);
}

TEST(Discovery, TakesNoAnswerOfAnotherTransactionServerOrFamily) {
    Outside outside;
    outside.set({kNear});
    outside.now += milliseconds(200);
    const auto questions = outside.discovery.step(outside.now);
    ASSERT_EQ(questions.size(), 1u);
    auto other = questions[0].transaction;
    other[11] ^= 1;
    EXPECT_FALSE(outside.discovery.answered(other, kNear, kMine, outside.now));
    EXPECT_FALSE(outside.discovery.answered(questions[0].transaction, kFar, kMine, outside.now));
    EXPECT_FALSE(outside.discovery.answered(questions[0].transaction, kNear, at("[2001:db8::1]:1"),
                                            outside.now));
    EXPECT_TRUE(outside.discovery.answered(questions[0].transaction, kNear, kMine, outside.now));
    EXPECT_FALSE(outside.discovery.answered(questions[0].transaction, kNear, kMine, outside.now));
}

TEST(Discovery, ServersAreBounded) {
    Outside outside;
    std::vector<Endpoint> many;
    for (int i = 0; i < 100; ++i) many.push_back({Address::parse("192.0.2.0")->plus(i), 3478});
    outside.set(many);
    outside.run(milliseconds(400));
    EXPECT_EQ(outside.asked.size(), Discovery::kMostServers);
}

}  // namespace
}  // namespace cvlan::reach
