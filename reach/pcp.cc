// SPDX-License-Identifier: Apache-2.0
#include "reach/pcp.h"

#include <algorithm>

#include "reach/big_endian.h"

namespace cvlan::reach::pcp {

namespace {

constexpr uint8_t kVersion = 2;
constexpr uint8_t kIsAnswer = 0x80;
constexpr uint8_t kUdp = 17;
constexpr size_t kHeader = 24;
constexpr size_t kMost = 1100;  // section 7
constexpr std::array<uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

// Every address has 16 bytes; one of IPv4 is a mapped one (section 5).
void write_address(uint8_t* to, const Address& address) {
    if (address.is_v4()) to = std::ranges::copy(kMappedPrefix, to).out;
    std::ranges::copy(address.bytes(), to);
}

Address read_address(ByteView bytes) {
    const bool is_v4 = std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin());
    return Address::from_bytes(is_v4 ? bytes.subspan(12, 4) : bytes.first(16)).value();
}

Mapping read_mapping(ByteView bytes) {
    Mapping mapping{.internal_port = read_u16(&bytes[16]),
                    .external = {read_address(bytes.subspan(20)), read_u16(&bytes[18])}};
    std::copy_n(bytes.begin(), mapping.nonce.size(), mapping.nonce.begin());
    return mapping;
}

}  // namespace

std::string_view name_of(Outcome outcome) {
    static constexpr std::array<std::string_view, 14> kNames{"success",
                                                             "unsupported version",
                                                             "not authorized",
                                                             "malformed request",
                                                             "unsupported opcode",
                                                             "unsupported option",
                                                             "malformed option",
                                                             "network failure",
                                                             "no resources",
                                                             "unsupported protocol",
                                                             "quota exceeded",
                                                             "cannot provide external address",
                                                             "address mismatch",
                                                             "excessive remote peers"};
    const auto number = static_cast<size_t>(outcome);
    return number < kNames.size() ? kNames[number] : "unknown result";
}

std::array<uint8_t, kMapSize> encode(const MapRequest& request) {
    std::array<uint8_t, kMapSize> bytes{kVersion, static_cast<uint8_t>(Opcode::Map)};
    write_u32(&bytes[4], request.lifetime_s);
    write_address(&bytes[8], request.client);
    uint8_t* const map = &bytes[kHeader];
    std::ranges::copy(request.nonce, map);
    map[12] = kUdp;
    write_u16(map + 16, request.internal_port);
    write_u16(map + 18, request.suggested.port);
    write_address(map + 20, request.suggested.address);
    return bytes;
}

Result<Answer> parse(ByteView datagram) {
    if (datagram.size() < kHeader || datagram.size() > kMost || datagram.size() % 4 != 0 ||
        (datagram[1] & kIsAnswer) == 0)
        return fail(Code::Malformed, "pcp: not an answer");
    if (datagram[0] != kVersion) return fail(Code::Unsupported, "pcp: version {}", datagram[0]);
    Answer answer{.opcode = Opcode(datagram[1] & ~kIsAnswer),
                  .outcome = Outcome{datagram[3]},
                  .lifetime_s = read_u32(&datagram[4]),
                  .epoch_s = read_u32(&datagram[8])};
    if (answer.opcode == Opcode::Announce) return answer;
    if (answer.opcode != Opcode::Map)
        return fail(Code::Malformed, "pcp: opcode {}", static_cast<unsigned>(answer.opcode));
    if (datagram.size() < kMapSize) return fail(Code::Malformed, "pcp: cut off");
    const ByteView map = datagram.subspan(kHeader);
    if (map[12] != kUdp) return fail(Code::Malformed, "pcp: protocol {}", map[12]);
    answer.mapping = read_mapping(map);
    return answer;
}

}  // namespace cvlan::reach::pcp
