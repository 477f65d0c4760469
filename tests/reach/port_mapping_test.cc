// SPDX-License-Identifier: Apache-2.0
#include "reach/port_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/support/fake_gateway.h"

namespace cvlan::reach {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using tests::FakeGateway;

const pcp::Nonce kNonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

// A mapping and its gateway, and the time between them.
struct Link {
    FakeGateway gateway;
    PortMapping mapping{{.own = *Address::parse("192.168.1.2"), .port = 51820, .nonce = kNonce}, 7};
    BootTime now{1000s};
    bool is_cut = false;
    std::vector<std::pair<milliseconds, Bytes>> sent;  // since the beginning

    explicit Link(FakeGateway with = {}) : gateway(std::move(with)) {}

    void start() {
        mapping.start(now);
        exchange();
    }
    // Lets the time pass, deadline by deadline; the gateway's clock goes with ours.
    void pass(milliseconds span) {
        const BootTime end = now + span;
        while (mapping.deadline() && *mapping.deadline() <= end) {
            advance_to(std::max(now, *mapping.deadline()));
            mapping.tick(now);
            exchange();
        }
        advance_to(end);
    }
    void exchange() {
        for (auto packets = mapping.take_packets(); !packets.empty();
             packets = mapping.take_packets())
            for (const Bytes& packet : packets) {
                sent.emplace_back(now - 1000s, packet);
                if (is_cut) continue;
                for (const Bytes& answer : gateway.answer(packet)) mapping.received(answer, now);
            }
    }
    std::string external() const {
        return mapping.external() ? mapping.external()->text() : "none";
    }
    std::vector<milliseconds> times(uint8_t version, size_t size) const {
        std::vector<milliseconds> at;
        for (const auto& [time, packet] : sent)
            if (packet[0] == version && packet.size() == size) at.push_back(time);
        return at;
    }

private:
    void advance_to(BootTime to) {
        using std::chrono::duration_cast;
        using std::chrono::seconds;
        gateway.epoch_s += static_cast<uint32_t>(
            (duration_cast<seconds>(to) - duration_cast<seconds>(now)).count());
        now = to;
    }
};

TEST(PortMapping, IsMadeByPcpWithOnePacket) {
    Link link;
    link.start();
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
    EXPECT_EQ(link.mapping.status(), MappingStatus::Mapped);
    EXPECT_EQ(link.mapping.protocol(), MappingProtocol::Pcp);
    EXPECT_EQ(link.gateway.requests.size(), 1u);
    EXPECT_EQ(link.gateway.mappings.at(51820).lifetime_s, 7200u);
    link.pass(10min);
    EXPECT_EQ(link.gateway.requests.size(), 1u);
}

TEST(PortMapping, IsMadeByNatPmpWhereTheGatewaySaysThatItHasNoPcp) {
    Link link({.has_pcp = false});
    link.start();
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
    EXPECT_EQ(link.mapping.protocol(), MappingProtocol::NatPmp);
    EXPECT_EQ(link.sent.size(), 3u);  // PCP, address, mapping: none waited
}

TEST(PortMapping, IsMadeByNatPmpWhereTheGatewayIsSilentAboutPcp) {
    Link link({.has_natpmp = false});
    link.is_cut = true;
    link.start();
    link.is_cut = false;
    link.gateway.has_pcp = false;
    link.gateway.has_natpmp = true;
    link.pass(600ms);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
    EXPECT_EQ(link.mapping.protocol(), MappingProtocol::NatPmp);
}

// Its answers come in order, so that NAT-PMP does not take over what PCP has made.
TEST(PortMapping, ASlowGatewayWithBothMapsByPcpAlone) {
    Link link;
    link.is_cut = true;
    link.start();
    link.pass(600ms);
    for (const auto& sent : std::exchange(link.sent, {}))
        for (const Bytes& answer : link.gateway.answer(sent.second))
            link.mapping.received(answer, link.now);
    link.is_cut = false;
    link.exchange();
    EXPECT_EQ(link.mapping.protocol(), MappingProtocol::Pcp);
    EXPECT_EQ(link.gateway.mappings.at(51820).nonce, kNonce);
    EXPECT_TRUE(link.sent.empty());
}

TEST(PortMapping, ARequestOfNatPmpThatIsLostIsRepeated) {
    Link link({.has_pcp = false});
    link.is_cut = true;
    link.start();
    link.mapping.received(*from_hex("0081000100000001"), link.now);
    link.exchange();
    link.mapping.received(link.gateway.announcement(false), link.now);
    link.exchange();
    EXPECT_EQ(link.times(0, 12).size(), 1u);
    link.is_cut = false;
    link.pass(250ms);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
}

TEST(PortMapping, AsksWithTheBackOffOfBothRfcs) {
    Link link;
    link.is_cut = true;
    link.start();
    EXPECT_EQ(link.mapping.status(), MappingStatus::Searching);
    link.pass(3h);
    EXPECT_EQ(link.mapping.status(), MappingStatus::Absent);
    EXPECT_THAT(link.times(0, 2), testing::ElementsAre(500ms, 750ms, 1250ms, 2250ms, 4250ms, 8250ms,
                                                       16250ms, 32250ms, 64250ms));
    EXPECT_TRUE(link.times(0, 12).empty());
    const auto pcp = link.times(2, 60);
    ASSERT_GT(pcp.size(), 12u);
    EXPECT_EQ(pcp[0], 0ms);
    for (size_t i = 1; i + 1 < pcp.size(); ++i) {
        // Twice as long as the last wait, or 1024 s, a tenth more or less.
        const milliseconds expected =
            i == 1 ? 3000ms : std::min<milliseconds>(2 * (pcp[i - 1] - pcp[i - 2]), 1024s);
        EXPECT_GE(pcp[i] - pcp[i - 1], expected * 9 / 10 - 1ms) << i;
        EXPECT_LE(pcp[i] - pcp[i - 1], expected * 11 / 10 + 1ms) << i;
    }
}

TEST(PortMapping, AGatewayThatComesIsFound) {
    Link link;
    link.is_cut = true;
    link.start();
    link.pass(3h);
    link.is_cut = false;
    link.pass(20min);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
}

TEST(PortMapping, IsCalledAbsentSoon) {
    Link link;
    link.is_cut = true;
    link.start();
    link.pass(2499ms);
    EXPECT_EQ(link.mapping.status(), MappingStatus::Searching);
    link.pass(1ms);
    EXPECT_EQ(link.mapping.status(), MappingStatus::Absent);
    Link closed;
    closed.is_cut = true;
    closed.start();
    closed.mapping.unreachable();
    EXPECT_EQ(closed.mapping.status(), MappingStatus::Absent);
}

TEST(PortMapping, IsRenewedAtHalfOfItsLife) {
    for (const bool has_pcp : {true, false}) {
        Link link({.has_pcp = has_pcp});
        link.start();
        const size_t before = link.sent.size();
        link.pass(3600s - 1ms);
        EXPECT_EQ(link.sent.size(), before);
        link.pass(900s + 1ms);
        EXPECT_EQ(link.sent.size(), before + (has_pcp ? 1 : 2));
        EXPECT_EQ(link.external(), "203.0.113.7:51820");
        link.pass(30 * 24h);
        EXPECT_EQ(link.external(), "203.0.113.7:51820");
        EXPECT_LE(link.times(has_pcp ? 2 : 0, has_pcp ? 60 : 12).size(), 30 * 24 + 2u);
    }
}

TEST(PortMapping, ARenewalIsRepeatedAndTheMappingEndsWithItsLife) {
    Link link;
    link.start();
    link.is_cut = true;
    const size_t before = link.sent.size();
    link.pass(7200s - 1ms);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
    const size_t renewals = link.sent.size() - before;
    EXPECT_GE(renewals, 5u);
    EXPECT_LE(renewals, 14u);
    for (size_t i = before + 1; i < link.sent.size(); ++i)
        EXPECT_GE(link.sent[i].first - link.sent[i - 1].first, 4s);
    link.pass(1ms);
    EXPECT_EQ(link.external(), "none");
    EXPECT_EQ(link.mapping.status(), MappingStatus::Searching);
    link.is_cut = false;
    link.pass(30s);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
}

TEST(PortMapping, ALifeThatIsShorterThanAskedIsRenewedInTime) {
    Link link({.lifetime_s = 120});
    link.start();
    link.pass(1h);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
    EXPECT_GE(link.sent.size(), 3600 / 75u);
    EXPECT_LE(link.sent.size(), 3600 / 60u + 1);
}

TEST(PortMapping, AGatewaysWordDoesNotMakeItBusy) {
    Link link({.lifetime_s = 1});
    link.start();
    link.pass(100s);
    EXPECT_LE(link.sent.size(), 26u);  // every 4 s
    Link endless({.lifetime_s = UINT32_MAX});
    endless.start();
    endless.pass(15h);
    EXPECT_GE(endless.sent.size(), 2u);
}

TEST(PortMapping, AnotherPortThanSuggestedIsTakenAndAskedForAgain) {
    Link link({.port = 40000});
    link.start();
    EXPECT_EQ(link.external(), "203.0.113.7:40000");
    link.gateway.port.reset();
    link.pass(1h + 15min);
    EXPECT_EQ(link.external(), "203.0.113.7:40000");
    EXPECT_EQ(read_u16(&link.sent.back().second[42]), 40000);
}

TEST(PortMapping, ARefusalIsKeptForAsLongAsTheGatewaySays) {
    Link link({.refusal = 8, .refusal_s = 600});
    link.start();
    EXPECT_EQ(link.mapping.status(), MappingStatus::Refused);
    EXPECT_EQ(link.mapping.why(), "PCP: no resources");
    link.pass(600s - 1ms);
    EXPECT_EQ(link.sent.size(), 1u);
    link.gateway.refusal = 0;
    link.pass(76s);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
    EXPECT_EQ(link.mapping.why(), "");
}

TEST(PortMapping, ARefusalOfNatPmpIsKeptByItsKind) {
    Link link({.has_pcp = false, .refusal = 4});
    link.start();
    EXPECT_EQ(link.mapping.why(), "NAT-PMP: out of resources");
    const size_t before = link.sent.size();
    link.pass(29s);
    EXPECT_EQ(link.sent.size(), before);
    link.pass(6s);
    EXPECT_GT(link.sent.size(), before);
    Link forbidden({.has_pcp = false, .refusal = 2});
    forbidden.start();
    const size_t asked = forbidden.sent.size();
    forbidden.pass(29min);
    EXPECT_EQ(forbidden.sent.size(), asked);
    EXPECT_EQ(forbidden.mapping.status(), MappingStatus::Refused);
}

TEST(PortMapping, ARefusedRenewalLeavesWhatStands) {
    Link link;
    link.start();
    link.gateway.refusal = 8;
    link.pass(7200s - 1ms);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
    link.pass(1ms);
    EXPECT_EQ(link.external(), "none");
    EXPECT_EQ(link.mapping.status(), MappingStatus::Refused);
}

TEST(PortMapping, AGatewayWithoutAnAddressHasNothingToMap) {
    for (const bool has_pcp : {true, false}) {
        Link link({.has_pcp = has_pcp, .external = Address()});
        link.start();
        EXPECT_EQ(link.external(), "none");
        EXPECT_EQ(link.mapping.status(), MappingStatus::Refused);
        link.gateway.external = *Address::parse("203.0.113.8");
        link.pass(40s);
        EXPECT_EQ(link.external(), "203.0.113.8:51820");
    }
}

TEST(PortMapping, AMappingOfAnotherKeyIsRefusedAndOfTheSameKeyTakenOver) {
    Link link;
    link.start();
    // A restart: nothing is known but the nonce.
    PortMapping again({.own = *Address::parse("192.168.1.2"), .port = 51820, .nonce = kNonce}, 8);
    again.start(link.now);
    for (const Bytes& packet : again.take_packets())
        for (const Bytes& answer : link.gateway.answer(packet)) again.received(answer, link.now);
    EXPECT_EQ(again.status(), MappingStatus::Mapped);
    PortMapping other({.own = *Address::parse("192.168.1.2"), .port = 51820}, 9);
    other.start(link.now);
    for (const Bytes& packet : other.take_packets())
        for (const Bytes& answer : link.gateway.answer(packet)) other.received(answer, link.now);
    EXPECT_EQ(other.why(), "PCP: not authorized");
}

TEST(PortMapping, AGatewayThatBeganAnewIsAskedAgainWithinFiveSeconds) {
    for (const bool as_pcp : {true, false}) {
        Link link({.has_pcp = as_pcp});
        link.start();
        link.pass(10min);
        link.gateway.reboot();
        link.mapping.announced(link.gateway.announcement(as_pcp), link.now);
        link.pass(5s);
        EXPECT_TRUE(link.gateway.mappings.contains(51820));
        EXPECT_EQ(link.external(), "203.0.113.7:51820");
    }
}

TEST(PortMapping, AGatewayThatBeganAnewIsAskedUntilItAnswers) {
    Link link;
    link.start();
    link.pass(10min);
    link.gateway.reboot();
    link.mapping.announced(link.gateway.announcement(true), link.now);
    link.is_cut = true;
    link.pass(20s);
    link.is_cut = false;
    link.pass(4s);
    EXPECT_TRUE(link.gateway.mappings.contains(51820));
}

TEST(PortMapping, AnAnnouncementOfAGatewayThatWentOnChangesNothing) {
    Link link({.has_pcp = false});
    link.start();
    const size_t before = link.sent.size();
    for (int i = 0; i < 10; ++i) {
        link.pass(1min);
        link.mapping.announced(link.gateway.announcement(false), link.now);
    }
    EXPECT_EQ(link.sent.size(), before);
}

TEST(PortMapping, ANewAddressThatIsAnnouncedIsTakenOver) {
    Link link({.has_pcp = false});
    link.start();
    link.pass(1min);
    link.gateway.external = *Address::parse("203.0.113.99");
    link.mapping.announced(link.gateway.announcement(false), link.now);
    link.pass(5s);
    EXPECT_EQ(link.external(), "203.0.113.99:51820");
}

TEST(PortMapping, AFloodOfAnnouncementsMakesFewRequests) {
    Link link;
    link.start();
    for (int i = 0; i < 1000; ++i) {
        link.gateway.epoch_s = static_cast<uint32_t>(i % 2 * 1000);
        link.mapping.announced(link.gateway.announcement(true), link.now);
        link.pass(100ms);
    }
    EXPECT_LE(link.sent.size(), 25u);
}

TEST(PortMapping, AGatewayThatIsAnnouncedAfterTheSearchIsAskedAtOnce) {
    Link link;
    link.is_cut = true;
    link.start();
    link.pass(2h);
    link.is_cut = false;
    link.mapping.announced(link.gateway.announcement(true), link.now);
    link.pass(5s);
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
}

TEST(PortMapping, IsTakenAwayAtTheEnd) {
    for (const bool has_pcp : {true, false}) {
        Link link({.has_pcp = has_pcp});
        link.start();
        ASSERT_EQ(link.gateway.mappings.size(), 1u);
        link.mapping.release();
        link.exchange();
        EXPECT_TRUE(link.gateway.mappings.empty());
        EXPECT_EQ(link.external(), "none");
        EXPECT_FALSE(link.mapping.deadline());
        link.mapping.announced(link.gateway.announcement(has_pcp), link.now);
        EXPECT_FALSE(link.mapping.deadline());
    }
}

TEST(PortMapping, AnAnswerToSomebodyElseChangesNothing) {
    Link link;
    link.is_cut = true;
    link.start();
    const Bytes request = link.sent[0].second;
    const auto changed = [&](size_t at) {
        FakeGateway honest;
        Bytes answer = honest.answer(request).at(0);
        answer[at] ^= 1;
        link.mapping.received(answer, link.now);
        return link.external();
    };
    EXPECT_EQ(changed(24), "none");  // nonce
    EXPECT_EQ(changed(36), "none");  // protocol
    EXPECT_EQ(changed(41), "none");  // internal port
    EXPECT_EQ(changed(1), "none");   // opcode
    link.mapping.received(*from_hex("00810000000003e8ca6d9c4000001c20"), link.now);
    link.mapping.received(*from_hex("00800000000003e8cb007107"), link.now);
    EXPECT_EQ(link.external(), "none");
    EXPECT_EQ(link.mapping.status(), MappingStatus::Searching);
}

TEST(PortMapping, ARepeatedAnswerDoesNotLengthenALife) {
    Link link({.has_pcp = false});
    link.start();
    link.is_cut = true;
    for (int i = 0; i < 72; ++i) {
        link.pass(100s);
        if (link.mapping.external())
            link.mapping.received(link.gateway.announcement(false), link.now);
    }
    EXPECT_EQ(link.external(), "none");
}

TEST(PortMapping, AfterASuspendItIsAskedForAnew) {
    Link link;
    link.start();
    link.now += 9h;
    link.mapping.tick(link.now);
    EXPECT_EQ(link.external(), "none");
    link.exchange();
    EXPECT_EQ(link.external(), "203.0.113.7:51820");
}

TEST(PortMapping, AsksForAnIpv6PinholeByPcpAlone) {
    PortMapping mapping({.own = *Address::parse("2001:db8::2"), .port = 51820, .nonce = kNonce}, 7);
    mapping.start(0s);
    const auto packets = mapping.take_packets();
    ASSERT_EQ(packets.size(), 1u);
    Bytes answer = packets[0];
    EXPECT_EQ(hex(ByteView(answer).subspan(44)), std::string(32, '0'));  // any of IPv6
    answer[1] |= 0x80;
    std::copy_n(answer.begin() + 8, 16, answer.begin() + 44);
    mapping.tick(600ms);
    EXPECT_TRUE(mapping.take_packets().empty());
    mapping.received(answer, 600ms);
    EXPECT_EQ(mapping.external(), Endpoint::parse("[2001:db8::2]:51820").value());
}

// Whatever comes, and whenever: it does not stop asking, and not ask all the time.
TEST(PortMapping, IsNeitherStuckNorBusyWhateverComes) {
    EXPECT_TRUE(rc::check([](uint32_t seed) {
        Link link;
        link.is_cut = true;
        link.start();
        std::minstd_rand random(seed);
        for (int i = 0; i < 60; ++i) {
            link.gateway.has_pcp = random() % 2 == 0;
            link.gateway.refusal = static_cast<uint16_t>(random() % 3 == 0 ? random() % 16 : 0);
            link.gateway.refusal_s = static_cast<uint32_t>(random());
            link.gateway.lifetime_s = static_cast<uint32_t>(random() % 4 == 0 ? random() : 0);
            link.is_cut = random() % 2 == 0;
            if (random() % 4 == 0)
                link.mapping.announced(link.gateway.announcement(random() % 2 == 0), link.now);
            if (random() % 8 == 0) link.gateway.reboot();
            link.pass(milliseconds(random() % 1'000'000));
            RC_ASSERT(link.mapping.deadline().has_value());
            RC_ASSERT(link.mapping.external().has_value() ==
                      (link.mapping.status() == MappingStatus::Mapped));
        }
        RC_ASSERT(link.sent.size() < 15'000u);
    }));
}

TEST(GatewayEpoch, IsThatOfRfc6887) {
    const auto after = [](uint32_t gateway_s, BootTime own) {
        GatewayEpoch epoch;
        EXPECT_TRUE(epoch.is_continued(10'000, 0s));
        return epoch.is_continued(gateway_s, own);
    };
    EXPECT_TRUE(after(10'000, 0s));
    EXPECT_TRUE(after(9'999, 0s));  // overtaken
    EXPECT_FALSE(after(9'998, 0s));
    EXPECT_FALSE(after(0, 1h));
    EXPECT_TRUE(after(13'600, 1h));
    EXPECT_TRUE(after(13'600 - 225 - 2, 1h));
    EXPECT_FALSE(after(13'600 - 225 - 3, 1h));
    EXPECT_TRUE(after(13'600 + 200, 1h));
    EXPECT_FALSE(after(13'600 + 300, 1h));
    GatewayEpoch epoch;
    EXPECT_TRUE(epoch.is_continued(1, 0s));
    epoch.forget();
    EXPECT_TRUE(epoch.is_continued(0, 5h));
}

}  // namespace
}  // namespace cvlan::reach
