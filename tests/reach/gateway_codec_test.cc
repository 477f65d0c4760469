// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "reach/natpmp.h"
#include "reach/pcp.h"

namespace cvlan::reach {
namespace {

Bytes bytes_of(std::string_view digits) { return *from_hex(digits); }

TEST(NatPmp, RequestsAreThoseOfTheRfc) {
    EXPECT_EQ(hex(natpmp::address_request()), "0000");
    EXPECT_EQ(hex(natpmp::encode({51820, 40000, 7200})), "00010000ca6c9c4000001c20");
}

TEST(NatPmp, AnswersAreRead) {
    EXPECT_EQ(natpmp::parse(bytes_of("00800000000003e8cb007107")),
              (natpmp::Answer(natpmp::AddressAnswer{natpmp::Outcome::Success, 1000,
                                                    *Address::parse("203.0.113.7")})));
    EXPECT_EQ(
        natpmp::parse(bytes_of("00810000000003e8ca6c9c4000001c20")),
        (natpmp::Answer(natpmp::MapAnswer{natpmp::Outcome::Success, 1000, 51820, 40000, 7200})));
}

TEST(NatPmp, ARefusalMayBeShort) {
    for (const char* digits : {"00810002000003e8", "00810002000003e8ca6c000000000000"}) {
        const auto answer = natpmp::parse(bytes_of(digits));
        ASSERT_TRUE(answer) << digits;
        EXPECT_EQ(std::get<natpmp::MapAnswer>(*answer).outcome, natpmp::Outcome::NotAuthorized);
    }
}

TEST(NatPmp, WhatIsNotAnAnswerIsRefused) {
    for (const char* digits : {"", "00", "0081", "00810000000003e8ca6c9c4000001c",  // cut off
                               "00810000000003e8ca6c9c4000001c2000",                // and more
                               "00800000000003e8cb0071", "00800000000003e8cb00710700",
                               "00820000000003e8ca6c9c4000001c20",  // TCP
                               "00010000ca6c9c4000001c20",          // a request
                               "01800000000003e8cb007107"})
        EXPECT_FALSE(natpmp::parse(bytes_of(digits))) << digits;
}

const pcp::Nonce kNonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
const std::string kMapAnswer =
    "028100"
    "00"
    "00001c20"
    "000003e8"
    "000000000000000000000000"
    "0102030405060708090a0b0c"
    "11000000"
    "ca6c9c40"
    "00000000000000000000ffffcb007107";

TEST(Pcp, ARequestIsThatOfTheRfc) {
    const auto request = pcp::encode({.client = *Address::parse("192.168.1.2"),
                                      .nonce = kNonce,
                                      .internal_port = 51820,
                                      .suggested = {*Address::parse("203.0.113.7"), 40000},
                                      .lifetime_s = 7200});
    EXPECT_EQ(hex(request),
              "0201000000001c2000000000000000000000ffffc0a80102"
              "0102030405060708090a0b0c11000000ca6c9c40"
              "00000000000000000000ffffcb007107");
}

TEST(Pcp, AMappingIsRead) {
    const auto answer = pcp::parse(bytes_of(kMapAnswer));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(*answer,
              (pcp::Answer{pcp::Opcode::Map, pcp::Outcome::Success, 7200, 1000,
                           pcp::Mapping{kNonce, 51820, {*Address::parse("203.0.113.7"), 40000}}}));
}

TEST(Pcp, AnAnnouncementHasNoMapping) {
    const auto answer =
        pcp::parse(bytes_of("02800000"
                            "00000000"
                            "0000000a" +
                            std::string(24, '0')));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->opcode, pcp::Opcode::Announce);
    EXPECT_EQ(answer->epoch_s, 10u);
    EXPECT_FALSE(answer->mapping);
}

TEST(Pcp, EveryTruncationIsRefused) {
    const Bytes whole = bytes_of(kMapAnswer);
    for (size_t size = 0; size < whole.size(); ++size) {
        const Bytes part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
        EXPECT_FALSE(pcp::parse(part)) << size;
    }
}

TEST(Pcp, WhatIsNotAnAnswerAboutUdpIsRefused) {
    const auto changed = [](size_t at, uint8_t to) {
        Bytes bytes = bytes_of(kMapAnswer);
        bytes[at] = to;
        return pcp::parse(bytes);
    };
    EXPECT_EQ(changed(0, 1).error().code, Code::Unsupported);
    EXPECT_EQ(changed(1, 0x01).error().code, Code::Malformed);  // a request
    EXPECT_EQ(changed(1, 0x82).error().code, Code::Malformed);  // PEER
    EXPECT_EQ(changed(36, 6).error().code, Code::Malformed);    // TCP
    Bytes large = bytes_of(kMapAnswer);
    large.resize(1104);
    EXPECT_FALSE(pcp::parse(large));
    large.resize(1100);
    EXPECT_TRUE(pcp::parse(large));
}

TEST(Pcp, AMappingComesBack) {
    EXPECT_TRUE(rc::check([](const pcp::Nonce& nonce, uint16_t internal, uint16_t external,
                             uint32_t lifetime_s, bool is_v6) {
        const auto bytes =
            *rc::gen::container<Bytes>(is_v6 ? 16 : 4, rc::gen::arbitrary<uint8_t>());
        const Endpoint suggested{*Address::from_bytes(bytes), external};
        auto request = pcp::encode({.nonce = nonce,
                                    .internal_port = internal,
                                    .suggested = suggested,
                                    .lifetime_s = lifetime_s});
        RC_ASSERT(!pcp::parse(request));
        request[1] |= 0x80;
        const auto answer = pcp::parse(request);
        RC_ASSERT(answer.has_value());
        RC_ASSERT(answer->lifetime_s == lifetime_s);
        RC_ASSERT(answer->mapping == (pcp::Mapping{nonce, internal, suggested}));
    }));
}

TEST(Pcp, EveryOutcomeHasAName) {
    EXPECT_EQ(name_of(pcp::Outcome::NotAuthorized), "not authorized");
    EXPECT_EQ(name_of(pcp::Outcome::ExcessiveRemotePeers), "excessive remote peers");
    EXPECT_EQ(name_of(pcp::Outcome{14}), "unknown result");
    EXPECT_EQ(name_of(natpmp::Outcome::OutOfResources), "out of resources");
    EXPECT_EQ(name_of(natpmp::Outcome{6}), "unknown result");
}

}  // namespace
}  // namespace cvlan::reach
