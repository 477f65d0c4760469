// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/netcheck.h"

#include <gtest/gtest.h>

namespace cvlan::agent {
namespace {

namespace local = model::local;
using namespace std::chrono_literals;
using Varies = reach::Discovery::Varies;

NetcheckFacts behind_nat(Varies varies) {
    NetcheckFacts facts;
    facts.underlay.own = {*Address::parse("192.168.1.2")};
    facts.v4 = {*Endpoint::parse("198.51.100.7:4000"), varies, true};
    return facts;
}

TEST(Netcheck, ANodeThatHearsNothingHasNoUdp) {
    const auto report = netcheck_of({});
    EXPECT_FALSE(report.udp || report.ipv4 || report.ipv6);
    EXPECT_EQ(report.mapping, local::Mapping::Unknown);
    EXPECT_TRUE(report.port_mappers.empty() && report.relays.empty());
    EXPECT_FALSE(report.captive_portal || report.mtu);
}

TEST(Netcheck, TheMappingIsNoneWhereTheAddressSeenIsOurs) {
    NetcheckFacts facts = behind_nat(Varies::No);
    EXPECT_EQ(netcheck_of(facts).mapping, local::Mapping::Independent);
    EXPECT_EQ(netcheck_of(behind_nat(Varies::Yes)).mapping, local::Mapping::Dependent);
    EXPECT_EQ(netcheck_of(behind_nat(Varies::Unknown)).mapping, local::Mapping::Unknown);
    facts.underlay.own.push_back(facts.v4.mapped->address);
    const auto report = netcheck_of(facts);
    EXPECT_EQ(report.mapping, local::Mapping::None);
    EXPECT_TRUE(report.udp && report.ipv4);
    EXPECT_EQ(report.ipv4_endpoint, "198.51.100.7:4000");
}

TEST(Netcheck, TellsByWhichNat64Ipv4IsReached) {
    NetcheckFacts facts = behind_nat(Varies::No);
    EXPECT_FALSE(netcheck_of(facts).nat64);
    facts.underlay.nat64 = *reach::Nat64::of(*Prefix::parse("64:ff9b::/96"));
    EXPECT_EQ(netcheck_of(facts).nat64, "64:ff9b::/96");
}

TEST(Netcheck, TellsWhichMapperAnsweredAndHowFarRelaysAre) {
    NetcheckFacts facts = behind_nat(Varies::No);
    facts.mapped.emplace();
    facts.mapped->protocol = reach::MappingProtocol::NatPmp;
    facts.mapped->external = *Endpoint::parse("198.51.100.7:4001");
    facts.relays = {{"t", "r1", "berlin", "eu", true, 12ms, 15ms}, {"t", "r2", "tokyo", ""}};
    facts.is_intercepted = false;
    facts.mtu = 1280;
    const auto report = netcheck_of(facts);
    EXPECT_EQ(report.port_mappers, std::vector{local::PortMapper::NatPmp});
    EXPECT_EQ(report.mapped_endpoint, "198.51.100.7:4001");
    ASSERT_EQ(report.relays.size(), 2u);
    EXPECT_EQ(report.relays[0].udp_ms, 12);
    EXPECT_EQ(report.relays[0].tls_ms, 15);
    EXPECT_TRUE(report.relays[0].home);
    EXPECT_FALSE(report.relays[1].udp_ms || report.relays[1].region);
    EXPECT_EQ(report.captive_portal, false);
    EXPECT_EQ(report.mtu, 1280);
}

TEST(Netcheck, TellsWhetherAGatewayIsAskedAndWhatItSays) {
    using reach::MappingStatus;
    NetcheckFacts facts = behind_nat(Varies::No);
    EXPECT_EQ(netcheck_of(facts).port_mapping, local::PortMapping::NotAsked);
    facts.maps_ports = true;
    facts.mapped.emplace();
    for (const auto& [status, told] :
         {std::pair(MappingStatus::Searching, local::PortMapping::Asking),
          {MappingStatus::Mapped, local::PortMapping::Mapped},
          {MappingStatus::Refused, local::PortMapping::Refused},
          {MappingStatus::Absent, local::PortMapping::NoAnswer}}) {
        facts.mapped->status = status;
        EXPECT_EQ(netcheck_of(facts).port_mapping, told);
    }
}

TEST(PathMtu, IsTheKernels) { EXPECT_EQ(path_mtu(*Endpoint::parse("127.0.0.1:9"), 0), 65535); }

}  // namespace
}  // namespace cvlan::agent
