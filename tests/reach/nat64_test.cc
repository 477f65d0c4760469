// SPDX-License-Identifier: Apache-2.0
#include "reach/nat64.h"

#include <gtest/gtest.h>

#include "reach/way.h"

namespace cvlan::reach {
namespace {

Address ip(std::string_view text) { return *Address::parse(text); }
Endpoint at(std::string_view text) { return *Endpoint::parse(text); }
Nat64 nat64(std::string_view prefix) { return *Nat64::of(*Prefix::parse(prefix)); }

struct Vector {
    const char* prefix;
    const char* v6;
};
// RFC 6052 section 2.4, of 192.0.2.33.
constexpr Vector kVectors[] = {
    {"2001:db8::/32", "2001:db8:c000:221::"},
    {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
    {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
    {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
    {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
    {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
    {"64:ff9b::/96", "64:ff9b::192.0.2.33"},
};

TEST(Nat64, WritesAndReadsTheAddressesOfTheRfc) {
    for (const auto& [prefix, v6] : kVectors) {
        EXPECT_EQ(nat64(prefix).embed(ip("192.0.2.33")), ip(v6)) << prefix;
        EXPECT_EQ(nat64(prefix).extract(ip(v6)), ip("192.0.2.33")) << prefix;
    }
}

TEST(Nat64, FindsEachPrefixByTheNameThatHasIpv4Alone) {
    for (const auto& [text, v6] : kVectors) {
        const Nat64 made = nat64(text);
        for (const char* known : {"192.0.0.170", "192.0.0.171"})
            EXPECT_EQ(Nat64::found_in(std::vector{made.embed(ip(known))}), made) << text;
    }
}

TEST(Nat64, WhatIsNoAnswerOfADns64IsNoPrefix) {
    EXPECT_FALSE(Nat64::found_in({}));
    const std::vector<Address> others{
        ip("192.0.0.170"),        ip("2001:db8::1"),          ip("64:ff9b::192.0.2.33"),
        ip("::ffff:192.0.0.170"), ip("::192.0.0.170"),        ip("ff02::192.0.0.170"),
        ip("fe80::192.0.0.170"),  ip("2001:db8:c000:aa:1::"), ip("2001:db8:0:0:100:0:c000:aa")};
    for (const Address& one : others) EXPECT_FALSE(Nat64::found_in(std::vector{one})) << one.text();
    auto with_one = others;
    with_one.push_back(ip("64:ff9b::192.0.0.171"));
    EXPECT_EQ(Nat64::found_in(with_one), nat64("64:ff9b::/96"));
}

TEST(Nat64, APrefixHasOneOfSixLengths) {
    for (uint8_t length = 0; length <= 128; ++length) {
        const bool is_one = length == 96 || (length >= 32 && length <= 64 && length % 8 == 0);
        EXPECT_EQ(Nat64::of(*Prefix::of(ip("2001:db8:1:1::"), length)).has_value(), is_one)
            << int{length};
    }
    EXPECT_FALSE(Nat64::of(*Prefix::parse("10.0.0.0/32")));
    EXPECT_FALSE(Nat64::of(*Prefix::parse("2001:db8:0:0:100::/96"))) << "a reserved bit";
}

TEST(Nat64, OnlyPublicIpv4GoesThroughIt) {
    const Nat64 through = nat64("64:ff9b::/96");
    EXPECT_EQ(through.to_send(at("198.51.100.7:4000")), at("[64:ff9b::198.51.100.7]:4000"));
    EXPECT_EQ(through.as_known(at("[64:ff9b::198.51.100.7]:4000")), at("198.51.100.7:4000"));
    for (const char* other : {"127.128.0.1:7", "10.0.0.1:7", "172.17.0.2:7", "100.64.0.1:7",
                              "169.254.0.1:7", "[2001:db8::1]:7", "0.0.0.0:7", "224.0.0.1:7"})
        EXPECT_EQ(through.to_send(at(other)), at(other));
    for (const char* other : {"[64:ff9b::10.0.0.1]:7", "[2001:db8::1]:7", "198.51.100.7:7"})
        EXPECT_EQ(through.as_known(at(other)), at(other));
}

TEST(Nat64, WhoHasIpv6AloneReachesPublicIpv4ByItAndPrivateIpv4ByNothing) {
    Underlay here;
    here.has_v4 = false;
    EXPECT_FALSE(way_of(at("198.51.100.7:4000"), here));
    here.nat64 = nat64("64:ff9b::/96");
    EXPECT_EQ(way_of(at("198.51.100.7:4000"), here), Way::PublicV4);
    EXPECT_FALSE(way_of(at("192.168.1.2:4000"), here));
    EXPECT_EQ(way_of(at("[2001:db8::1]:4000"), here), Way::PublicV6);
}

}  // namespace
}  // namespace cvlan::reach
