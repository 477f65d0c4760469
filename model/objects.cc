// SPDX-License-Identifier: Apache-2.0
#include "model/objects.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"

namespace cvlan::model {

Result<void> check_name(std::string_view field, std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    };
    const bool good = !name.empty() && name.size() <= 63 && name.front() != '-' &&
                      name.back() != '-' && std::all_of(name.begin(), name.end(), allowed);
    if (good) return {};
    Error error{
        Code::Invalid,
        fmt::format("{} '{}' is no name: 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'",
                    field, printable(name.substr(0, 64)))};
    error.pointer = fmt::format("/{}", field);
    return failed(error);
}

Result<void> check_wireguard_key(std::string_view text) {
    // The points of small order on Curve25519 (RFC 7748, section 6.1; cr.yp.to/ecdh.html),
    // little-endian with the unused top bit clear: with one of them every shared secret is known to
    // all.
    static const std::array<std::string_view, 7> kLowOrder{
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    auto bytes = from_base64(text);
    if (!bytes || bytes->size() != 32) return fail(Code::Invalid, "must be 32 bytes in base64");
    bytes->back() = static_cast<uint8_t>(bytes->back() & 0x7F);
    if (std::find(kLowOrder.begin(), kLowOrder.end(), hex(*bytes)) != kLowOrder.end())
        return fail(Code::Invalid, "is a point of low order, which gives no secret");
    return {};
}

TokenState state_of(const Token& token, WallTime now) {
    if (token.revoked) return TokenState::Revoked;
    if (now >= token.expires_at) return TokenState::Expired;
    return token.uses_left == 0 ? TokenState::Spent : TokenState::Usable;
}

void leave_out_overlay(std::vector<Endpoint>& endpoints, const Network& network) {
    std::erase_if(endpoints, [&](const Endpoint& endpoint) {
        return (network.ipv4 && network.ipv4->contains(endpoint.address)) ||
               (network.ipv6 && network.ipv6->contains(endpoint.address));
    });
}

}  // namespace cvlan::model
