// SPDX-License-Identifier: Apache-2.0
#include "reach/path_check.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace cvlan::reach {
namespace {

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

struct Party {
    wg::PrivateKey key = wg::generate_private_key();
    wg::PublicKey name = *wg::public_key_of(key);
};

struct PathCheck : testing::Test {
    Party alice, bob, mallory;
    std::array<uint8_t, stun::kMostMessage> buffer{};
    Transactions transactions;

    Bytes request(uint64_t token, std::vector<Endpoint> places = {}) {
        const auto key = check_key(alice.key, bob.name);
        const auto bytes =
            write_request(buffer, {transactions.of(token), alice.name, places}, *key);
        return Bytes(bytes->begin(), bytes->end());
    }
};

TEST_F(PathCheck, BothSidesHaveTheSameKeyAndNobodyElse) {
    const auto one = check_key(alice.key, bob.name);
    const auto other = check_key(bob.key, alice.name);
    ASSERT_TRUE(one && other);
    EXPECT_TRUE(*one == *other);
    EXPECT_FALSE(*one == *check_key(mallory.key, bob.name));
    EXPECT_FALSE(*one == *check_key(alice.key, mallory.name));
}

// While a network has both devices, the port of the one is no path for the other.
TEST_F(PathCheck, TheKeyForIpsecIsAnother) {
    const auto one = check_key(alice.key, bob.name, CheckedFor::Ipsec);
    EXPECT_TRUE(*one == *check_key(bob.key, alice.name, CheckedFor::Ipsec));
    EXPECT_FALSE(*one == *check_key(alice.key, bob.name));
}

TEST_F(PathCheck, WithAKeyOfLowOrderThereIsNone) {
    EXPECT_FALSE(check_key(alice.key, wg::PublicKey()));
}

TEST_F(PathCheck, ARequestNamesItsSenderAndProvesIt) {
    const Bytes bytes = request(7);
    const auto message = stun::Message::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_EQ(sender_of(*message), alice.name);
    EXPECT_TRUE(message->is_authentic(check_key(bob.key, alice.name)->bytes()));
    EXPECT_FALSE(message->is_authentic(check_key(mallory.key, alice.name)->bytes()));
    EXPECT_EQ(transactions.token_of(message->transaction()), 7u);
    EXPECT_EQ(Transactions().token_of(message->transaction()), std::nullopt);
}

TEST_F(PathCheck, TheAnswerTellsWhereTheRequestCameFromAndIsNoLarger) {
    for (const auto* from : {"192.0.2.1:1000", "[2001:db8::1]:1000"}) {
        const Bytes bytes = request(7);
        const auto message = stun::Message::parse(bytes);
        std::array<uint8_t, stun::kMostMessage> room{};
        const auto key = check_key(bob.key, alice.name);
        const auto answer = write_answer(room, *message, at(from), *key);
        ASSERT_TRUE(answer);
        EXPECT_LE(answer->size(), bytes.size());
        const auto parsed = stun::Message::parse(*answer);
        ASSERT_TRUE(parsed);
        EXPECT_TRUE(parsed->is(stun::Class::Success, stun::Method::Binding));
        EXPECT_EQ(parsed->mapped(), at(from));
        EXPECT_EQ(parsed->transaction(), message->transaction());
        EXPECT_TRUE(parsed->is_authentic(check_key(alice.key, bob.name)->bytes()));
        EXPECT_EQ(sender_of(*parsed), std::nullopt);
    }
}

TEST_F(PathCheck, PlacesTravelInARequest) {
    const std::vector<Endpoint> places{at("192.0.2.1:1"), at("[2001:db8::7]:65535")};
    const Bytes bytes = request(1, places);
    EXPECT_EQ(places_in(bytes), places);
    EXPECT_TRUE(stun::Message::parse(bytes)->is_authentic(check_key(bob.key, alice.name)->bytes()));
    EXPECT_TRUE(places_in(request(1)).empty());
}

TEST_F(PathCheck, EightPlacesOfIpv6FitAndMoreAreLeftOut) {
    std::vector<Endpoint> places;
    places.reserve(20);
    for (int i = 0; i < 20; ++i) places.push_back({Address::parse("2001:db8::")->plus(i), 51820});
    const Bytes bytes = request(1, places);
    EXPECT_LE(bytes.size(), stun::kMostMessage);
    EXPECT_EQ(places_in(bytes).size(), kMostPlaces);
}

TEST_F(PathCheck, PlacesBehindTheIntegrityAreNotRead) {
    // By hand: a request without places, then our attribute behind its integrity.
    const auto key = check_key(alice.key, bob.name);
    auto built =
        stun::Builder(buffer, stun::Class::Request, stun::Method::Binding, transactions.of(1))
            .username(alice.name.text())
            .integrity(key->bytes())
            .finish();
    Bytes bytes(built->begin(), built->end());
    const Bytes behind{0xC0, 0xCA, 0, 7, 4, 0, 1, 192, 0, 2, 1, 0};
    bytes.insert(bytes.end(), behind.begin(), behind.end());
    bytes[3] = static_cast<uint8_t>(bytes[3] + 12);
    ASSERT_TRUE(stun::Message::parse(bytes));
    EXPECT_TRUE(places_in(bytes).empty());
}

// All but the fingerprint, which stands behind the integrity and proves nothing.
TEST_F(PathCheck, AnyChangedBitIsNoticed) {
    const Bytes bytes = request(1, {at("192.0.2.1:1")});
    const auto key = check_key(bob.key, alice.name);
    for (size_t bit = 0; bit < (bytes.size() - 8) * 8; ++bit) {
        Bytes changed = bytes;
        changed[bit / 8] = static_cast<uint8_t>(changed[bit / 8] ^ (1u << (bit % 8)));
        const auto message = stun::Message::parse(changed);
        EXPECT_FALSE(message && sender_of(*message) && message->is_authentic(key->bytes())) << bit;
    }
}

TEST_F(PathCheck, NoBytesReadBeyondTheirEnd) {
    EXPECT_TRUE(rc::check("places of anything", [](Bytes value) {
        Bytes bytes(20, 0);
        bytes.insert(bytes.end(), {0xC0, 0xCA, static_cast<uint8_t>(value.size() >> 8),
                                   static_cast<uint8_t>(value.size())});
        bytes.insert(bytes.end(), value.begin(), value.end());
        while (bytes.size() % 4) bytes.push_back(0);
        RC_ASSERT(places_in(bytes).size() <= kMostPlaces);
    }));
}

}  // namespace
}  // namespace cvlan::reach
