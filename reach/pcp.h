// SPDX-License-Identifier: Apache-2.0
#pragma once

// PCP version 2 (RFC 6887), as much of it as maps a UDP port: MAP requests, and the answers to them
// and to nothing (ANNOUNCE). Pure.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"

namespace cvlan::reach::pcp {

// Proves to the gateway that a mapping is ours to renew and to take away (section 11.1): the same
// for the mapping's life, and unknown to others.
using Nonce = std::array<uint8_t, 12>;

enum class Opcode : uint8_t { Announce = 0, Map = 1 };

enum class Outcome : uint8_t {  // section 7.4; others may come
    Success = 0,
    UnsupportedVersion = 1,
    NotAuthorized = 2,
    MalformedRequest = 3,
    UnsupportedOpcode = 4,
    UnsupportedOption = 5,
    MalformedOption = 6,
    NetworkFailure = 7,
    NoResources = 8,
    UnsupportedProtocol = 9,
    UserExceededQuota = 10,
    CannotProvideExternal = 11,
    AddressMismatch = 12,
    ExcessiveRemotePeers = 13,
};
std::string_view name_of(Outcome outcome);

struct MapRequest {    // a lifetime of 0 takes the mapping away
    Address client{};  // our own, as the gateway must see it
    Nonce nonce{};
    uint16_t internal_port = 0;
    // Of the client's family where an IPv6 pinhole is meant; the address may be unspecified.
    Endpoint suggested{};
    uint32_t lifetime_s = 0;
};
inline constexpr size_t kMapSize = 60;
std::array<uint8_t, kMapSize> encode(const MapRequest& request);

struct Mapping {
    Nonce nonce{};
    uint16_t internal_port = 0;
    Endpoint external{};
    bool operator==(const Mapping&) const = default;
};
struct Answer {
    Opcode opcode{};
    Outcome outcome{};
    uint32_t lifetime_s = 0;  // of the mapping, or of the error
    uint32_t epoch_s = 0;
    std::optional<Mapping> mapping{};  // of a Map; of a failed one only what was asked
    bool operator==(const Answer&) const = default;
};

// Another version is Code::Unsupported; other opcodes, protocols, and requests are
// Code::Malformed. Options are not read: we ask for none.
Result<Answer> parse(ByteView datagram);

}  // namespace cvlan::reach::pcp
