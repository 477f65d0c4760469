// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <map>

#include "store/prefix_rules.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using std::chrono::days;

TEST(UsableRange, LeavesOutWhatIsNoHost) {
    const std::tuple<const char*, const char*, const char*, const char*> cases[] = {
        {"10.0.0.0/24", "10.0.0.1", "10.0.0.254", "254"},
        {"10.0.0.8/29", "10.0.0.9", "10.0.0.14", "6"},
        {"10.0.0.8/30", "10.0.0.9", "10.0.0.10", "2"},
        {"10.0.0.8/31", "10.0.0.8", "10.0.0.9", "2"},  // RFC 3021
        {"10.0.0.8/32", "10.0.0.8", "10.0.0.8", "1"},
        {"fd00::/126", "fd00::1", "fd00::3", "3"},
        {"fd00::/127", "fd00::", "fd00::1", "2"},  // RFC 6164
        {"fd00::7/128", "fd00::7", "fd00::7", "1"},
        {"fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff", "2^64-1"},
    };
    for (const auto& [prefix, first, last, count] : cases) {
        const UsableRange range = usable_range(*Prefix::parse(prefix));
        EXPECT_EQ(range.first.text(), first);
        EXPECT_EQ(range.last.text(), last);
        EXPECT_EQ(usable_count(*Prefix::parse(prefix)), count);
    }
}

class AddressTest : public StoreTest {
protected:
    std::string acme_ = tenant("acme");

    std::string next_address(const model::Network& network) {
        auto done = enrol(enrolment(token(network)));
        if (!done) return done.error().message;
        last_ = key_of(done->node);
        return done->membership.ipv4 ? done->membership.ipv4->text()
                                     : done->membership.ipv6->text();
    }
    Key last_;
};

// F28: a /29 has six places; the seventh node is told so.
TEST_F(AddressTest, SaysThatThePoolIsExhausted) {
    const model::Network small = network(acme_, "small", "10.0.0.0/29");
    for (int i = 1; i <= 6; ++i) EXPECT_EQ(next_address(small), fmt::format("10.0.0.{}", i));
    const model::TokenClaims claims = token(small);
    EXPECT_FAILS(enrol(enrolment(claims)), Code::Conflict, "'small': pool exhausted 6/6");
    EXPECT_EQ(store_->token(acme_, claims.id)->uses_left, 1);
    ASSERT_TRUE(store_->delete_node(last_));
    EXPECT_FAILS(enrol(enrolment(claims)), Code::Conflict, "6/6, 1 of them in quarantine");
    clock_.advance(days(7));
    EXPECT_EQ(next_address(small), "10.0.0.6");
}

TEST_F(AddressTest, FillsTheSmallestNetworks) {
    const model::Network pair = network(acme_, "pair", "10.0.0.4/31");
    EXPECT_EQ(next_address(pair), "10.0.0.4");
    EXPECT_EQ(next_address(pair), "10.0.0.5");
    EXPECT_EQ(next_address(pair), "network 'pair': pool exhausted 2/2");
    const model::Network one = network(acme_, "one", "10.0.0.7/32");
    EXPECT_EQ(next_address(one), "10.0.0.7");
    EXPECT_EQ(next_address(one), "network 'one': pool exhausted 1/1");
    const model::Network six = network(acme_, "six", "", "fd00:1::/127");
    EXPECT_EQ(next_address(six), "fd00:1::");
    EXPECT_EQ(next_address(six), "fd00:1::1");
    EXPECT_EQ(next_address(six), "network 'six': pool exhausted 2/2");
}

TEST_F(AddressTest, StopsAtTheEndOfTheAddressSpace) {
    const model::Network last =
        network(acme_, "last", "", "fd00:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
    EXPECT_EQ(next_address(last), "fd00:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
    EXPECT_EQ(next_address(last), "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    EXPECT_EQ(next_address(last), "network 'last': pool exhausted 2/2");
}

TEST_F(AddressTest, IsInQuarantineForSevenDays) {
    const model::Network office = network(acme_, "office", "10.0.0.0/24");
    EXPECT_EQ(next_address(office), "10.0.0.1");
    ASSERT_TRUE(store_->delete_node(last_));
    EXPECT_EQ(next_address(office), "10.0.0.2");
    clock_.advance(days(7) - std::chrono::milliseconds(1));
    EXPECT_EQ(next_address(office), "10.0.0.3");
    clock_.advance(std::chrono::milliseconds(1));
    EXPECT_EQ(next_address(office), "10.0.0.1");
}

TEST_F(AddressTest, StaysWithARevokedNodeUntilItIsDeleted) {
    const model::Network office = network(acme_, "office", "10.0.0.0/24");
    next_address(office);
    ASSERT_TRUE(store_->revoke_node(last_));
    clock_.advance(days(30));
    EXPECT_EQ(next_address(office), "10.0.0.2");
}

// Enrolments, deletions and time in any order, against a plain model: a map of who holds what. Six
// places, and steps of 3 and 4 days: few of them exhaust the pool or meet a quarantine's very end.
TEST_F(AddressTest, AgreesWithAModel) {
    EXPECT_TRUE(rc::check("lowest free first, no doubles, quarantine kept", [this] {
        static int round = 0;
        const model::Network net = network(acme_, fmt::format("n{}", round),
                                           fmt::format("10.{}.{}.0/29", round / 256, round % 256));
        ++round;
        const model::TokenClaims claims = token(net, 1000, std::chrono::hours(24 * 365));
        const UsableRange range = usable_range(*net.ipv4);
        std::map<Address, Key> held;
        std::map<Address, WallTime> quarantined;
        // inRange shrinks with the size: without a full one it would give enrolments alone.
        const auto any_step = rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 10));
        const auto steps = *rc::gen::resize(22, rc::gen::container<std::vector<int>>(any_step));
        for (const int step : steps) {
            if (step < 4) {
                std::optional<Address> expected;
                for (Address a = range.first; a <= range.last && !expected; a = a.plus(1))
                    if (!held.contains(a) &&
                        (!quarantined.contains(a) || quarantined[a] <= clock_.now()))
                        expected = a;
                const auto done = enrol(enrolment(claims));
                RC_ASSERT(done.has_value() == expected.has_value());
                if (!done) continue;
                RC_ASSERT(*done->membership.ipv4 == *expected);
                held[*expected] = key_of(done->node);
            } else if (step < 7 && !held.empty()) {
                auto victim = held.begin();
                std::advance(victim, *rc::gen::inRange<size_t>(0, held.size()));
                RC_ASSERT(store_->delete_node(victim->second).has_value());
                quarantined[victim->first] = clock_.now() + days(7);
                held.erase(victim);
            } else {
                clock_.advance(days(step == 9 ? 4 : 3));
            }
        }
    }));
}

// A /16 is filled past its third byte, without doubles.
TEST_F(AddressTest, CountsOnOverTheEndOfAByte) {
    const model::Network big = network(acme_, "big", "10.0.0.0/16");
    const model::TokenClaims claims = token(big, 5000);
    std::string last;
    for (int i = 0; i < 258; ++i) last = enrol(enrolment(claims))->membership.ipv4->text();
    EXPECT_EQ(last, "10.0.1.2");
    EXPECT_EQ(store_->network(acme_, big.id)->node_count, 258);
}

}  // namespace
}  // namespace cvlan::store
