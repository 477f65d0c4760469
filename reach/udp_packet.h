// SPDX-License-Identifier: Apache-2.0
#pragma once

// UDP datagrams as they lie in a raw socket's buffer (RFC 768, RFC 8200 section 8.1). Pure.

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ip.h"

namespace cvlan::reach {

constexpr size_t kUdpHeadSize = 8;
// What is sent and taken at most: a STUN message, or a probe of the path's MTU.
constexpr size_t kMostPayload = 1472;

// The eight bytes before `payload`, with the checksum over the addresses too. `from` and `to` are
// of one family.
std::array<uint8_t, kUdpHeadSize> udp_head(const Endpoint& from, const Endpoint& to,
                                           ByteView payload);

// What of a received packet is the datagram. The checksum is not looked at: of a packet that never
// left this machine it was not computed, and what is in it proves itself (RFC 8489 section 9).
struct UdpView {
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    ByteView payload;
};
// From the UDP header on. Nothing where lengths do not fit.
std::optional<UdpView> parse_udp(ByteView bytes);
// From the IPv4 header on; `from` and `to` are the header's addresses.
struct Ipv4View {
    Address from;
    Address to;
    UdpView udp;
};
std::optional<Ipv4View> parse_ipv4_udp(ByteView bytes);

}  // namespace cvlan::reach
