// SPDX-License-Identifier: Apache-2.0
// Usage in bytes: what nodes report of what they have carried, and what it is not to be believed.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

namespace wire = model::wire;
using std::chrono::hours;
using std::chrono::seconds;

constexpr int64_t kPerSecond = 12'500'000'000;  // as much as is believed

class TrafficTest : public StoreTest {
protected:
    std::string acme_ = tenant("acme");
    model::Network office_ = network(acme_, "office", "10.100.0.0/24");
    model::Node node_ = enrolled(enrolment(token(office_), "a")).node;
    WallTime start_ = clock_.now();

    static wire::TrafficReport told(const std::string& network_id, int64_t received, int64_t sent,
                                    WallTime since) {
        wire::TrafficReport told;
        told.network_id = network_id;
        told.counted_since = since;
        told.received_bytes = received;
        told.sent_bytes = sent;
        return told;
    }
    void report(const model::Node& node, std::vector<wire::TrafficReport> traffic) {
        wire::HealthReport report;
        report.traffic = std::move(traffic);
        const auto put = store_->health().put(key_of(node), std::move(report));
        ASSERT_TRUE(put) << put.error().message;
    }
    void report(const model::Node& node, int64_t received, int64_t sent, WallTime since) {
        report(node, {told(office_.id, received, sent, since)});
    }
    using Sums = std::vector<std::tuple<std::string, int64_t, int64_t>>;
    // Of the networks, and of all under "".
    Sums sums(const std::string& tenant_id) {
        const auto usage = *store_->usage(tenant_id);
        Sums found{{"", usage.carried.received, usage.carried.sent}};
        for (const auto& of : usage.traffic)
            found.emplace_back(of.network_name, of.received, of.sent);
        return found;
    }
    static Sums office(int64_t received, int64_t sent) {
        return {{"", received, sent}, {"office", received, sent}};
    }
};

TEST_F(TrafficTest, WhatNodesCarryIsAddedUpByNetwork) {
    const auto other = enrolled(enrolment(token(office_), "b")).node;
    EXPECT_EQ(sums(acme_), (Sums{{"", 0, 0}}));
    report(node_, 100, 10, start_);
    report(other, 5, 50, start_);
    EXPECT_EQ(sums(acme_), office(105, 60));
    // The same again, whose answer was lost, and then more.
    report(node_, 100, 10, start_);
    report(node_, 130, 11, start_);
    EXPECT_EQ(sums(acme_), office(135, 61));
}

TEST_F(TrafficTest, ANodeThatBeginsAnewOrWhoseCounterWentBackIsCountedFromZero) {
    report(node_, 100, 10, start_);
    report(node_, 150, 10, start_ + hours(1));
    EXPECT_EQ(sums(acme_), office(250, 20));
    report(node_, 7, 12, start_ + hours(1));
    EXPECT_EQ(sums(acme_), office(257, 22));
}

TEST_F(TrafficTest, AnOldAgentCountsNothingAndWhatIsNotToldStaysCounted) {
    report(node_, {});
    EXPECT_EQ(sums(acme_), (Sums{{"", 0, 0}}));
    report(node_, 100, 10, start_);
    report(node_, {});
    report(node_, 101, 11, start_);
    EXPECT_EQ(sums(acme_), office(101, 11));
}

TEST_F(TrafficTest, NobodyCountsForANetworkThatIsNotItsOwn) {
    const auto lab = network(acme_, "lab", "10.101.0.0/24");
    const std::string other = tenant("other");
    const auto elsewhere = network(other, "else", "10.102.0.0/24");
    for (const auto& network_id : {lab.id, elsewhere.id, id()})
        report(node_, {told(network_id, 1, 1, start_)});
    EXPECT_EQ(sums(acme_), (Sums{{"", 0, 0}}));
    EXPECT_EQ(sums(other), (Sums{{"", 0, 0}}));
}

TEST_F(TrafficTest, ANetworkThatIsToldOfTwiceInAReportIsCountedOnce) {
    const auto one = told(office_.id, 100, 10, start_);
    report(node_, {one, one, told(office_.id, 100, 10, start_ + seconds(1))});
    EXPECT_EQ(sums(acme_), office(100, 10));
}

// In front of it, behind it, and beside it.
TEST_F(TrafficTest, NoLieOfANodeSpoilsTheFigures) {
    report(node_, 100, 10, start_);
    constexpr int64_t kMost = int64_t{1} << 60;
    report(node_, kMost, 20, start_);
    EXPECT_EQ(sums(acme_), office(100, 20)) << "nobody carries that in no time";
    report(node_, kMost - 5, 30, start_);
    EXPECT_EQ(sums(acme_), office(100, 30)) << "nor after it went back";
    report(node_, kMost, 40, start_);
    EXPECT_EQ(sums(acme_), office(105, 40)) << "what it grows by from there is counted";
    report(node_, kMost, kMost, *from_rfc3339("9999-12-31T23:59:59Z"));
    report(node_, kMost, kMost, from_unix_ms(0));
    EXPECT_EQ(sums(acme_), office(105, 40));
    report(node_, 7, 3, start_);
    EXPECT_EQ(sums(acme_), office(112, 43));
}

TEST_F(TrafficTest, AsMuchIsBelievedAsCanHaveBeenCarriedSinceItWasCountedLast) {
    report(node_, 0, 0, start_);
    clock_.advance(seconds(90));
    report(node_, 100 * kPerSecond, 100 * kPerSecond + 1, start_);
    EXPECT_EQ(sums(acme_), office(100 * kPerSecond, 0));
    // A week without a controller.
    clock_.advance(hours(24 * 7));
    report(node_, 200'000 * kPerSecond, 100 * kPerSecond + 2, start_);
    EXPECT_EQ(sums(acme_), office(200'000 * kPerSecond, 1));
    // Of a controller's clock that went back nothing is believed but what is little.
    clock_.set_wall(start_);
    report(node_, 200'011 * kPerSecond, 100 * kPerSecond + 3, start_);
    EXPECT_EQ(sums(acme_), office(200'000 * kPerSecond, 2));
}

// Who lies each time lies as much as can be, and no sum runs over.
TEST_F(TrafficTest, SumsThatComeToTheirEndStayThere) {
    const int64_t month = 24 * 30 * 3600 * kPerSecond;
    for (int i = 0; i < 80; ++i) {
        clock_.advance(hours(24 * 30));
        report(node_, month, 1, start_ + seconds(i));
    }
    const auto [name, all, sent] = sums(acme_).at(1);
    EXPECT_GT(all, int64_t{1} << 61);
    EXPECT_EQ(all % month, 0);
    EXPECT_EQ(sent, 80);
    clock_.advance(hours(24 * 30));
    report(node_, month, 1, start_);
    EXPECT_EQ(sums(acme_), office(all, 81));
}

TEST_F(TrafficTest, WhatWasCarriedIsTheTenantsWhenItsNetworkIsGone) {
    const auto lab = network(acme_, "lab", "10.101.0.0/24");
    const auto other = enrolled(enrolment(token(lab), "b")).node;
    report(node_, 100, 10, start_);
    report(other, {told(lab.id, 5, 50, start_)});
    ASSERT_TRUE(store_->delete_node(key_of(node_)));
    ASSERT_TRUE(store_->delete_network({acme_, office_.id}));
    EXPECT_EQ(sums(acme_), (Sums{{"", 105, 60}, {"lab", 5, 50}}));
    ASSERT_TRUE(store_->delete_node(key_of(other)));
    ASSERT_TRUE(store_->delete_network({acme_, lab.id}));
    EXPECT_EQ(sums(acme_), (Sums{{"", 105, 60}}));
    ASSERT_TRUE(store_->delete_tenant(acme_));
}

}  // namespace
}  // namespace cvlan::store
