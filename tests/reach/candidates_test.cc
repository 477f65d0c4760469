// SPDX-License-Identifier: Apache-2.0
#include "reach/candidates.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

namespace cvlan::reach {
namespace {

using std::chrono::seconds;

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }
std::vector<Endpoint> list(std::initializer_list<std::string_view> texts) {
    std::vector<Endpoint> endpoints;
    for (const auto text : texts) endpoints.push_back(at(text));
    return endpoints;
}

Underlay office() { return {{*Prefix::parse("192.168.7.0/24")}, {}, true, true}; }

TEST(Rank, SameSubnetThenPublicV6ThenPublicV4ThenOtherPrivateOnes) {
    const auto given = list({"10.9.9.9:1", "203.0.113.5:1", "[2001:db8::5]:1", "192.168.7.9:1"});
    EXPECT_EQ(rank(given, office()),
              list({"192.168.7.9:1", "[2001:db8::5]:1", "203.0.113.5:1", "10.9.9.9:1"}));
}

TEST(Rank, OnAnUnderlayOfIpv6AloneOnlyIpv6IsTried) {
    const Underlay v6_only{{}, {}, false, true};
    EXPECT_EQ(rank(list({"203.0.113.5:1", "[2001:db8::5]:1"}), v6_only), list({"[2001:db8::5]:1"}));
}

TEST(Rank, LeavesOutWhatCanNotBeSentToAndDoubles) {
    const auto given = list({"0.0.0.0:1", "127.0.0.1:1", "[::1]:1", "[fe80::1]:1", "224.0.0.1:1",
                             "203.0.113.5:0", "203.0.113.5:1", "203.0.113.5:1"});
    EXPECT_EQ(rank(given, office()), list({"203.0.113.5:1"}));
}

TEST(Rank, AnAddressThatIsOursToo_AsThatOfEveryDockerBridge_IsNotTheirs) {
    Underlay underlay = office();
    underlay.own = {*Address::parse("172.17.0.1")};
    EXPECT_EQ(rank(list({"172.17.0.1:1", "203.0.113.5:1"}), underlay), list({"203.0.113.5:1"}));
}

TEST(Rank, KeepsTheMapsOrderAmongEquals) {
    const auto given = list({"203.0.113.9:1", "203.0.113.5:1"});
    EXPECT_EQ(rank(given, office()), given);
}

TEST(Keepalive, IsNeededUnlessBothSidesArePublic) {
    const auto open = list({"203.0.113.5:1"});
    const auto behind_nat = list({"203.0.113.6:1", "10.0.0.2:1"});
    EXPECT_FALSE(needs_keepalive(open, list({"[2001:db8::5]:1"})));
    EXPECT_TRUE(needs_keepalive(open, behind_nat));
    EXPECT_TRUE(needs_keepalive(behind_nat, open));
    EXPECT_TRUE(needs_keepalive(open, {}));
}

struct Peer {
    Candidates candidates;
    Sighting seen{};
    Moment now{seconds(1000), from_unix_ms(1'700'000'000'000)};
    std::vector<Endpoint> ranked = list({"192.168.7.9:1", "203.0.113.5:1"});

    Peer() { seen.has_keepalive = true; }
    // One look a second; returns what was written, as the kernel would then hold it.
    std::vector<std::string> watch(int count, uint64_t sent_a_second = 0) {
        std::vector<std::string> written;
        for (int i = 0; i < count; ++i) {
            if (auto choice = candidates.look(seen, ranked, now)) {
                written.push_back(choice->text());
                seen.endpoint = *choice;
            }
            now.boot += seconds(1);
            now.wall += seconds(1);
            seen.tx_bytes += sent_a_second;
        }
        return written;
    }
    void shake_hands() { seen.last_handshake = now.wall; }
};

TEST(Candidates, TriesTheBestFirstAndTheNextWhenNoHandshakeComes) {
    Peer peer;
    EXPECT_EQ(peer.watch(1), std::vector<std::string>{"192.168.7.9:1"});
    EXPECT_EQ(peer.watch(5), std::vector<std::string>{});
    EXPECT_EQ(peer.watch(2), std::vector<std::string>{"203.0.113.5:1"});
}

TEST(Candidates, GoesRoundWithGrowingIntervals) {
    Peer peer;
    const auto written = peer.watch(600);
    EXPECT_GE(written.size(), 10u);
    EXPECT_LE(written.size(), 20u);
    EXPECT_EQ(std::set<std::string>(written.begin(), written.end()).size(), 2u);
}

TEST(Candidates, LeavesTheEndpointAloneOnceAHandshakeIsThrough) {
    Peer peer;
    peer.watch(3);
    peer.shake_hands();
    peer.seen.endpoint = at("198.51.100.77:4242");  // the kernel has learnt where it really is
    EXPECT_EQ(peer.watch(170), std::vector<std::string>{});
    EXPECT_TRUE(peer.candidates.is_live(peer.now));
}

TEST(Candidates, DoesNotFlipARoamedPeerAwayWhileItTalks) {
    Peer peer;
    peer.seen.endpoint = at("198.51.100.77:4242");
    peer.shake_hands();
    for (int i = 0; i < 200; ++i) {
        peer.seen.rx_bytes += 32;  // keepalives; handshakes age past 180 s
        EXPECT_EQ(peer.watch(20), std::vector<std::string>{});
        if (i % 6 == 5) peer.shake_hands();
    }
}

TEST(Candidates, AnEndpointThatMovedWithoutAPacketIsPutBack) {
    Peer peer;
    peer.seen.endpoint = at("198.51.100.7:7");  // where it roamed to
    peer.seen.last_handshake = peer.now.wall;
    EXPECT_TRUE(peer.watch(3).empty());
    peer.seen.endpoint = at("192.0.2.200:1");
    EXPECT_EQ(peer.watch(1), std::vector<std::string>{"198.51.100.7:7"});
    EXPECT_TRUE(peer.watch(3).empty());
    peer.seen.endpoint = at("198.51.100.8:8");  // it roamed: its packet is counted
    peer.seen.rx_bytes += 32;
    EXPECT_TRUE(peer.watch(3).empty());
}

TEST(Candidates, APeerMadeAnewHasNoSessionAndIsTriedWhereItWasHeard) {
    Peer peer;
    peer.seen.endpoint = at("198.51.100.7:7");
    EXPECT_TRUE(peer.watch(1).empty());
    peer.seen.last_handshake = peer.now.wall;
    peer.seen.rx_bytes = 100;
    peer.watch(1);
    EXPECT_TRUE(peer.candidates.is_live(peer.now));
    EXPECT_EQ(peer.candidates.good_endpoint(), at("198.51.100.7:7"));
    peer.seen = {at("192.168.7.9:1"), std::nullopt, 0, 0, true};
    peer.watch(1);
    EXPECT_FALSE(peer.candidates.is_live(peer.now));
    EXPECT_FALSE(peer.watch(30).empty());
}

TEST(Candidates, TheSessionThatAPeerMadeAnewHasAtTheNextLookCounts) {
    Peer peer;
    peer.seen.endpoint = at("198.51.100.7:7");
    peer.seen.rx_bytes = 1000;  // handshakes that led to nothing
    peer.watch(1);
    EXPECT_FALSE(peer.candidates.is_live(peer.now));
    peer.seen = {at("198.51.100.7:7"), peer.now.wall, 124, 180, true};
    peer.watch(1);
    EXPECT_TRUE(peer.candidates.is_live(peer.now));
}

TEST(Candidates, TriesAgainWhenTheSessionIsOver) {
    Peer peer;
    peer.watch(1);
    peer.shake_hands();
    EXPECT_EQ(peer.watch(179), std::vector<std::string>{});
    EXPECT_FALSE(peer.watch(20).empty());
    EXPECT_FALSE(peer.candidates.is_live(peer.now));
}

TEST(Candidates, LeavesAnIdlePeerWithoutKeepaliveInPeace) {
    Peer peer;
    peer.seen.has_keepalive = false;
    EXPECT_EQ(peer.watch(1), std::vector<std::string>{"192.168.7.9:1"});
    EXPECT_EQ(peer.watch(300), std::vector<std::string>{});
    EXPECT_FALSE(peer.watch(3, 148).empty());  // somebody sends: handshakes go unanswered
}

TEST(Candidates, AWallClockAYearAheadDoesNotDisturbALivePeer) {
    Peer peer;
    peer.shake_hands();
    peer.seen.endpoint = at("198.51.100.77:4242");
    peer.now.wall += std::chrono::hours(24 * 365);
    EXPECT_EQ(peer.watch(24), std::vector<std::string>{});
    peer.seen.rx_bytes += 32;
    EXPECT_EQ(peer.watch(1), std::vector<std::string>{});
}

TEST(Candidates, AWallClockAYearBackDoesNotMakeADeadPeerLiveForAYear) {
    Peer peer;
    peer.shake_hands();
    peer.now.wall -= std::chrono::hours(24 * 365);
    peer.watch(181);
    EXPECT_FALSE(peer.candidates.is_live(peer.now));
}

TEST(Candidates, ANewListBeginsAnew) {
    Peer peer;
    peer.watch(300);
    peer.ranked = list({"198.51.100.1:1"});
    EXPECT_EQ(peer.watch(8), std::vector<std::string>{"198.51.100.1:1"});
}

TEST(Candidates, APeerThatSaysItListensElsewhereIsFollowedAtOnceThoughItsSessionLives) {
    Peer peer;
    peer.watch(1);
    peer.shake_hands();
    peer.watch(5);
    peer.ranked = list({"10.1.1.1:1", "192.168.7.9:2"});
    EXPECT_EQ(peer.watch(30), std::vector<std::string>{"192.168.7.9:2"});
}

TEST(Candidates, ANewListDoesNotMoveAPeerThatHasRoamed) {
    Peer peer;
    peer.watch(1);
    peer.shake_hands();
    peer.seen.endpoint = at("198.51.100.77:4242");
    peer.watch(5);
    peer.ranked = list({"203.0.113.5:2"});
    EXPECT_EQ(peer.watch(100), std::vector<std::string>{});
}

TEST(Candidates, WithoutCandidatesNothingIsWritten) {
    Peer peer;
    peer.ranked.clear();
    EXPECT_EQ(peer.watch(100), std::vector<std::string>{});
}

TEST(Candidates, AlwaysComesToEveryCandidate) {
    EXPECT_TRUE(rc::check("every candidate is tried", [] {
        Peer peer;
        peer.ranked.clear();
        const int count = *rc::gen::inRange(1, 8);
        for (int i = 1; i <= count; ++i)
            peer.ranked.push_back(at(fmt::format("203.0.113.{}:51820", i)));
        const auto written = peer.watch(300);
        const std::set<std::string> tried(written.begin(), written.end());
        RC_ASSERT(tried.size() == static_cast<size_t>(count));
    }));
}

}  // namespace
}  // namespace cvlan::reach
