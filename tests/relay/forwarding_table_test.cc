// SPDX-License-Identifier: Apache-2.0
#include "relay/forwarding_table.h"

#include <gtest/gtest.h>

#include <functional>

namespace cvlan::relay {
namespace {

using netlink::nft::Element;
using netlink::nft::Rule;
using std::chrono::seconds;

Address address(std::string_view text) { return Address::parse(text).value(); }
Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

Pair pair4() {
    return {"A and B", address("203.0.113.1"), 49152, at("198.51.100.1:51820"),
            at("198.51.100.2:1")};
}
Pair pair6() {
    return {"A and B", address("2001:db8::9"), 65535, at("[2001:db8::1]:51820"),
            at("[2001:db8::2]:443")};
}
const std::vector<Address> kOwn{address("203.0.113.1"), address("2001:db8::9")};

TEST(ForwardingTable, APairIsTwoElementsThatReadAsThePair) {
    for (const Pair& pair : {pair4(), pair6()}) {
        auto elements = elements_of(pair, seconds(300));
        elements[0].counter = netlink::nft::Counter{1, 2};
        elements[1].counter = netlink::nft::Counter{3, 4};
        elements[0].expires_in = seconds(9);
        elements[1].expires_in = seconds(8);
        EXPECT_EQ(elements[0].timeout, seconds(300));
        EXPECT_NE(elements[0].key, elements[1].key);
        const auto states = joined(elements);
        ASSERT_EQ(states.size(), 1u);
        EXPECT_EQ(states[0].pair, pair);
        EXPECT_EQ(states[0].from_a, (Traffic{1, 2}));
        EXPECT_EQ(states[0].from_b, (Traffic{3, 4}));
        EXPECT_EQ(states[0].expires_in, seconds(8));
    }
}

TEST(ForwardingTable, TheBytesOfAnElementAreThoseOnTheWire) {
    const auto elements = elements_of(pair4(), seconds(1));
    EXPECT_EQ(hex(elements[0].key),
              "c6336401"
              "cb007101"
              "ca6c0000"
              "c0000000");
    EXPECT_EQ(hex(std::get<Bytes>(elements[0].value)),
              "c6336402"
              "c000"
              "0001");
    EXPECT_EQ(hex(elements[1].key),
              "c6336402"
              "cb007101"
              "00010000"
              "c0000000");
    EXPECT_EQ(hex(std::get<Bytes>(elements[1].value)),
              "c6336401"
              "c000"
              "ca6c");
    EXPECT_EQ(elements[0].comment, "a:A and B");
    EXPECT_EQ(elements[1].comment, "b:A and B");
}

TEST(ForwardingTable, HalfAPairOrTwoHalvesThatDoNotFitAreNone) {
    const auto elements = elements_of(pair4(), seconds(1));
    EXPECT_TRUE(joined({&elements[0], 1}).empty());
    EXPECT_TRUE(joined({&elements[1], 1}).empty());
    Pair moved = pair4();
    moved.b.port = 2;
    const std::vector<Element> mixed{elements[0], elements_of(moved, seconds(1))[1]};
    EXPECT_TRUE(joined(mixed).empty());
}

TEST(ForwardingTable, ANameMayBeOfAPairInEachFamily) {
    std::vector<Element> elements;
    for (const Pair& pair : {pair4(), pair6()})
        for (const Element& each : elements_of(pair, seconds(1))) elements.push_back(each);
    EXPECT_EQ(joined(elements).size(), 2u);
}

TEST(ForwardingTable, ElementsOfSomebodyElseAreSkipped) {
    const Element good = elements_of(pair4(), seconds(1))[0];
    ASSERT_TRUE(direction_of(good));
    Element other = good;
    other.comment = "A and B";
    EXPECT_FALSE(direction_of(other));
    other = good;
    other.key.pop_back();
    EXPECT_FALSE(direction_of(other));
    other = good;
    other.value = {};
    EXPECT_FALSE(direction_of(other));
    other.value = Bytes(3);
    EXPECT_FALSE(direction_of(other));
    other.value = Bytes(20);
    EXPECT_FALSE(direction_of(other));
    other = good;
    std::get<Bytes>(other.value)[4] ^= 1;  // answers would come from another port
    EXPECT_FALSE(direction_of(other));
}

TEST(ForwardingTable, RefusesPairsThatCanNotBe) {
    EXPECT_TRUE(check_pair(pair4(), kOwn));
    EXPECT_TRUE(check_pair(pair6(), kOwn));
    const auto refused = [](const std::function<void(Pair&)>& spoil) {
        Pair pair = pair4();
        spoil(pair);
        const auto checked = check_pair(pair, kOwn);
        return !checked && checked.error().code == Code::Invalid;
    };
    EXPECT_TRUE(refused([](Pair& pair) { pair.name = ""; }));
    EXPECT_TRUE(refused([](Pair& pair) { pair.name = std::string(121, 'x'); }));
    EXPECT_TRUE(refused([](Pair& pair) { pair.name = "a\nb"; }));
    EXPECT_TRUE(refused([](Pair& pair) { pair.name = "a\"b"; }));
    EXPECT_TRUE(refused([](Pair& pair) { pair.own = address("203.0.113.2"); }));
    EXPECT_TRUE(refused([](Pair& pair) { pair.port = 0; }));
    EXPECT_TRUE(refused([](Pair& pair) { pair.a = pair.b; }));
    for (const char* place :
         {"198.51.100.1:0", "0.0.0.0:1", "127.0.0.1:1", "224.0.0.1:1", "255.255.255.255:1",
          "203.0.113.1:1", "[2001:db8::1]:1", "[::ffff:198.51.100.1]:1"})
        EXPECT_TRUE(refused([&](Pair& pair) { pair.b = at(place); })) << place;
    Pair six = pair6();
    for (const char* place : {"[fe80::1]:1", "[::]:1", "[::1]:1", "[ff02::1]:1"}) {
        six.a = at(place);
        EXPECT_FALSE(check_pair(six, kOwn)) << place;
    }
}

TEST(ForwardingTable, EachOwnAddressHasARuleOnEitherSideAndAMarkOfItsOwn) {
    const auto rules = forwarding_rules(kOwn);
    std::vector<std::string> comments;
    for (const Rule& rule : rules) comments.push_back(rule.comment);
    const std::vector<std::string> expected{"not UDP",
                                            "bind requests are the relay's own",
                                            "has the kernel put fragments together; is never run "
                                            "through",
                                            "to 203.0.113.1; ports too are of the map",
                                            "to 2001:db8::9; ports too are of the map",
                                            "from 203.0.113.1",
                                            "from 2001:db8::9"};
    EXPECT_EQ(comments, expected);
    EXPECT_EQ(forwarding_rules({}).size(), 3u);
    // No word is used that nftables does not have.
    for (const Rule& rule : rules) {
        for (const auto& each : rule.expressions) {
            const auto* store = std::get_if<netlink::nft::StoreMeta>(&each);
            EXPECT_TRUE(store == nullptr || store->from < netlink::nft::kWords);
        }
    }
}

}  // namespace
}  // namespace cvlan::relay
