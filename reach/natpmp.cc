// SPDX-License-Identifier: Apache-2.0
#include "reach/natpmp.h"

#include "reach/big_endian.h"

namespace cvlan::reach::natpmp {

namespace {

constexpr uint8_t kAddress = 0;
constexpr uint8_t kMapUdp = 1;
constexpr uint8_t kIsAnswer = 128;
constexpr size_t kHeader = 8;
constexpr size_t kAddressAnswer = 12;
constexpr size_t kMapAnswer = 16;

}  // namespace

std::string_view name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::Success:
            return "success";
        case Outcome::UnsupportedVersion:
            return "unsupported version";
        case Outcome::NotAuthorized:
            return "not authorized";
        case Outcome::NetworkFailure:
            return "network failure";
        case Outcome::OutOfResources:
            return "out of resources";
        case Outcome::UnsupportedOpcode:
            return "unsupported opcode";
    }
    return "unknown result";
}

std::array<uint8_t, 2> address_request() { return {0, kAddress}; }

std::array<uint8_t, 12> encode(const MapRequest& request) {
    std::array<uint8_t, 12> bytes{0, kMapUdp};
    write_u16(&bytes[4], request.internal_port);
    write_u16(&bytes[6], request.suggested_port);
    write_u32(&bytes[8], request.lifetime_s);
    return bytes;
}

// A failure may come without the fields of a success: a gateway that knows no PCP answers its
// requests with 8 bytes (RFC 6887 appendix A).
Result<Answer> parse(ByteView datagram) {
    if (datagram.size() < kHeader || datagram[0] != 0)
        return fail(Code::Malformed, "nat-pmp: not an answer");
    const uint8_t opcode = datagram[1];
    const Outcome outcome{read_u16(datagram.data() + 2)};
    const uint32_t epoch_s = read_u32(datagram.data() + 4);
    const bool is_good = outcome == Outcome::Success;
    if (opcode == kIsAnswer + kAddress) {
        if (!is_good) return AddressAnswer{.outcome = outcome, .epoch_s = epoch_s};
        if (datagram.size() != kAddressAnswer)
            return fail(Code::Malformed, "nat-pmp: an address in {} bytes", datagram.size());
        return AddressAnswer{outcome, epoch_s, Address::from_bytes(datagram.subspan(8)).value()};
    }
    if (opcode == kIsAnswer + kMapUdp) {
        if (!is_good) return MapAnswer{.outcome = outcome, .epoch_s = epoch_s};
        if (datagram.size() != kMapAnswer)
            return fail(Code::Malformed, "nat-pmp: a mapping in {} bytes", datagram.size());
        return MapAnswer{outcome, epoch_s, read_u16(&datagram[8]), read_u16(&datagram[10]),
                         read_u32(&datagram[12])};
    }
    return fail(Code::Malformed, "nat-pmp: opcode {}", opcode);
}

}  // namespace cvlan::reach::natpmp
