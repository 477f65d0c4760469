// SPDX-License-Identifier: Apache-2.0
#include "reach/udp_packet.h"

#include <netinet/in.h>

namespace cvlan::reach {

namespace {

constexpr size_t kIpv4HeadSize = 20;

void add(uint32_t& sum, ByteView bytes) {
    for (size_t i = 0; i < bytes.size(); i += 2)
        sum += static_cast<uint32_t>(bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0));
}

uint16_t word_at(ByteView bytes, size_t at) {
    return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

}  // namespace

std::array<uint8_t, kUdpHeadSize> udp_head(const Endpoint& from, const Endpoint& to,
                                           ByteView payload) {
    const auto length = static_cast<uint16_t>(kUdpHeadSize + payload.size());
    std::array<uint8_t, kUdpHeadSize> head{};
    const auto put = [&](size_t at, uint16_t word) {
        head[at] = static_cast<uint8_t>(word >> 8);
        head[at + 1] = static_cast<uint8_t>(word);
    };
    put(0, from.port);
    put(2, to.port);
    put(4, length);
    uint32_t sum = IPPROTO_UDP + uint32_t{length};
    add(sum, from.address.bytes());
    add(sum, to.address.bytes());
    add(sum, head);
    add(sum, payload);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    const auto checksum = static_cast<uint16_t>(~sum);
    put(6, checksum == 0 ? 0xffff : checksum);  // zero would say that there is none
    return head;
}

std::optional<UdpView> parse_udp(ByteView bytes) {
    if (bytes.size() < kUdpHeadSize) return std::nullopt;
    const size_t length = word_at(bytes, 4);
    if (length < kUdpHeadSize || length > bytes.size()) return std::nullopt;
    return UdpView{word_at(bytes, 0), word_at(bytes, 2),
                   bytes.subspan(kUdpHeadSize, length - kUdpHeadSize)};
}

std::optional<Ipv4View> parse_ipv4_udp(ByteView bytes) {
    if (bytes.size() < kIpv4HeadSize || bytes[0] >> 4 != 4) return std::nullopt;
    const size_t head = static_cast<size_t>(bytes[0] & 0x0f) * 4;
    if (head < kIpv4HeadSize || head > bytes.size() || bytes[9] != IPPROTO_UDP) return std::nullopt;
    auto udp = parse_udp(bytes.subspan(head));
    auto from = Address::from_bytes(bytes.subspan(12, 4));
    auto to = Address::from_bytes(bytes.subspan(16, 4));
    if (!udp || !from || !to) return std::nullopt;
    return Ipv4View{*from, *to, *udp};
}

}  // namespace cvlan::reach
