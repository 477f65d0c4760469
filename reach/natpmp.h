// SPDX-License-Identifier: Apache-2.0
#pragma once

// NAT-PMP (RFC 6886): what is asked of a home gateway, and its answers. Pure.

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"

namespace cvlan::reach::natpmp {

inline constexpr uint16_t kServerPort = 5351;    // PCP's, too
inline constexpr uint16_t kAnnouncePort = 5350;  // where gateways say that they began anew

// What a gateway says about a request (section 3.5); others may come.
enum class Outcome : uint16_t {
    Success = 0,
    UnsupportedVersion = 1,
    NotAuthorized = 2,
    NetworkFailure = 3,
    OutOfResources = 4,
    UnsupportedOpcode = 5,
};
std::string_view name_of(Outcome outcome);

struct MapRequest {  // of a UDP port; a lifetime of 0 takes the mapping away
    uint16_t internal_port = 0;
    uint16_t suggested_port = 0;
    uint32_t lifetime_s = 0;
};

std::array<uint8_t, 2> address_request();
std::array<uint8_t, 12> encode(const MapRequest& request);

// Where an outcome is not Success, the rest may be 0 and means nothing.
struct AddressAnswer {  // comes unasked, too, to kAnnouncePort
    Outcome outcome{};
    uint32_t epoch_s = 0;
    Address external{};
    bool operator==(const AddressAnswer&) const = default;
};
struct MapAnswer {
    Outcome outcome{};
    uint32_t epoch_s = 0;
    uint16_t internal_port = 0;
    uint16_t external_port = 0;
    uint32_t lifetime_s = 0;
    bool operator==(const MapAnswer&) const = default;
};
using Answer = std::variant<AddressAnswer, MapAnswer>;

// Answers about TCP, requests and what is not NAT-PMP are Code::Malformed.
Result<Answer> parse(ByteView datagram);

}  // namespace cvlan::reach::natpmp
