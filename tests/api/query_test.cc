// SPDX-License-Identifier: Apache-2.0
#include "api/query.h"

#include <gtest/gtest.h>

#include "api/limiter.h"

namespace cvlan::api {
namespace {

TEST(QueryTest, ParametersAreDecodedAndTyped) {
    const auto query = Query::parse("name=a%20b%2Fc&n=7&id=00000000-0000-7000-8000-000000000001",
                                    {"name", "n", "id"});
    ASSERT_TRUE(query) << query.error().message;
    EXPECT_EQ(query->text("name"), "a b/c");
    EXPECT_EQ(*query->integer("n", 1, 9, 3), 7);
    EXPECT_EQ(*query->integer("absent", 1, 9, 3), 3);
    EXPECT_TRUE(query->uuid("id")->has_value());
    EXPECT_FALSE(query->uuid("absent")->has_value());
    EXPECT_FALSE(query->uuid("name"));
    EXPECT_FALSE(query->integer("n", 1, 6, 3));
    EXPECT_FALSE(query->integer("name", 1, 6, 3));
    EXPECT_TRUE(Query::parse("", {}));
}

TEST(QueryTest, UnknownDoubleAndBadlyEscapedAreRefused) {
    for (const char* bad : {"x=1", "name=1&name=2", "name=%", "name=%4", "name=%zz", "name=%00",
                            "name=%C0%80", "&", "=1"})
        EXPECT_FALSE(Query::parse(bad, {"name"})) << bad;
}

TEST(LimiterTest, CountsByAddressAndByNetworkOfIpv6) {
    ManualClock clock(from_unix_ms(0));
    Limiter limiter(2, clock);
    const auto a = *Address::parse("192.0.2.1"), b = *Address::parse("192.0.2.2");
    const auto c = *Address::parse("2001:db8::1"), d = *Address::parse("2001:db8::2");
    limiter.count(a);
    EXPECT_FALSE(limiter.is_exhausted(a));
    limiter.count(a);
    EXPECT_TRUE(limiter.is_exhausted(a));
    EXPECT_FALSE(limiter.is_exhausted(b));
    limiter.count(c);
    limiter.count(d);
    EXPECT_TRUE(limiter.is_exhausted(c));
    clock.advance(std::chrono::minutes(1));
    EXPECT_FALSE(limiter.is_exhausted(a));
    // It drains at its rate: half a minute later, half is left.
    limiter.count(a);
    limiter.count(a);
    clock.advance(std::chrono::seconds(30));
    EXPECT_FALSE(limiter.is_exhausted(a));
    limiter.count(a);
    EXPECT_TRUE(limiter.is_exhausted(a));
}

}  // namespace
}  // namespace cvlan::api
