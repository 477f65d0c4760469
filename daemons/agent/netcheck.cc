// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/netcheck.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/unique_fd.h"

namespace cvlan::agent {

namespace local = model::local;

namespace {

// By IPv4, where NATs are; else by IPv6.
local::Mapping mapping_of(const NetcheckFacts& facts) {
    const auto& seen = facts.v4.mapped ? facts.v4 : facts.v6;
    if (!seen.mapped) return local::Mapping::Unknown;
    const auto& own = facts.underlay.own;
    if (std::find(own.begin(), own.end(), seen.mapped->address) != own.end())
        return local::Mapping::None;
    if (seen.varies == reach::Discovery::Varies::Unknown) return local::Mapping::Unknown;
    return seen.varies == reach::Discovery::Varies::Yes ? local::Mapping::Dependent
                                                        : local::Mapping::Independent;
}

std::optional<local::PortMapper> mapper_of(reach::MappingProtocol protocol) {
    switch (protocol) {
        case reach::MappingProtocol::None:
            return std::nullopt;
        case reach::MappingProtocol::Pcp:
            return local::PortMapper::Pcp;
        case reach::MappingProtocol::NatPmp:
            return local::PortMapper::NatPmp;
        case reach::MappingProtocol::Upnp:
            return local::PortMapper::Upnp;
    }
    return std::nullopt;
}

local::PortMapping state_of(const NetcheckFacts& facts) {
    if (!facts.maps_ports || !facts.mapped) return local::PortMapping::NotAsked;
    switch (facts.mapped->status) {
        case reach::MappingStatus::Searching:
            return local::PortMapping::Asking;
        case reach::MappingStatus::Mapped:
            return local::PortMapping::Mapped;
        case reach::MappingStatus::Refused:
            return local::PortMapping::Refused;
        case reach::MappingStatus::Absent:
            return local::PortMapping::NoAnswer;
    }
    return local::PortMapping::NotAsked;
}

std::optional<int64_t> count(const std::optional<std::chrono::milliseconds>& time) {
    return time ? std::optional(time->count()) : std::nullopt;
}

}  // namespace

local::NetcheckReport netcheck_of(const NetcheckFacts& facts) {
    local::NetcheckReport report;
    report.ipv4 = facts.v4.mapped.has_value();
    report.ipv6 = facts.v6.mapped.has_value();
    report.udp = report.ipv4 || report.ipv6;
    if (facts.v4.mapped) report.ipv4_endpoint = facts.v4.mapped->text();
    if (facts.v6.mapped) report.ipv6_endpoint = facts.v6.mapped->text();
    report.mapping = mapping_of(facts);
    report.port_mapping = state_of(facts);
    if (facts.mapped) {
        if (const auto mapper = mapper_of(facts.mapped->protocol))
            report.port_mappers.push_back(*mapper);
        if (facts.mapped->external) report.mapped_endpoint = facts.mapped->external->text();
    }
    if (facts.underlay.nat64) report.nat64 = facts.underlay.nat64->prefix().text();
    if (facts.mtu) report.mtu = *facts.mtu;
    for (const RelayView& relay : facts.relays) {
        local::NetcheckRelay& one = report.relays.emplace_back();
        one.id = relay.id;
        one.name = relay.name;
        if (!relay.region.empty()) one.region = relay.region;
        one.home = relay.is_home;
        one.udp_ms = count(relay.udp);
        one.tls_ms = count(relay.tls);
    }
    report.captive_portal = facts.is_intercepted;
    return report;
}

std::optional<uint16_t> path_mtu(const Endpoint& to, uint32_t mark) {
    const UniqueFd fd(socket(to.address.af(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return std::nullopt;
    // Without the right to mark there is no route of ours that could lead astray.
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark);
    sockaddr_storage storage{};
    const socklen_t size = to.to_sockaddr(storage);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0)
        return std::nullopt;
    int mtu = 0;
    socklen_t mtu_size = sizeof mtu;
    const bool is_v4 = to.address.is_v4();
    if (getsockopt(fd.get(), is_v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6},
                   is_v4 ? int{IP_MTU} : int{IPV6_MTU}, &mtu, &mtu_size) != 0)
        return std::nullopt;
    // That of lo is 65536.
    return static_cast<uint16_t>(std::clamp(mtu, 0, 65535));
}

}  // namespace cvlan::agent
