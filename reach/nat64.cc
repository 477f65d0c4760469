// SPDX-License-Identifier: Apache-2.0
#include "reach/nat64.h"

#include <algorithm>
#include <array>

namespace cvlan::reach {

namespace {

using Bytes6 = std::array<uint8_t, 16>;

constexpr std::array<uint8_t, 6> kLengths{96, 64, 56, 48, 40, 32};
// Zero in all lengths but 96, where it is the prefix's and zero too.
constexpr size_t kReserved = 8;

// Where the four bytes are: from the prefix's end on, around the reserved one.
std::array<size_t, 4> places_of(uint8_t length) {
    std::array<size_t, 4> places{};
    size_t at = length / 8;
    for (size_t& place : places) {
        if (at == kReserved) ++at;
        place = at++;
    }
    return places;
}

Bytes6 bytes_of(const Address& v6) {
    Bytes6 bytes{};
    std::copy(v6.bytes().begin(), v6.bytes().end(), bytes.begin());
    return bytes;
}

}  // namespace

Result<Nat64> Nat64::of(const Prefix& prefix) {
    const Address& base = prefix.address();
    const bool is_length =
        std::find(kLengths.begin(), kLengths.end(), prefix.length()) != kLengths.end();
    const bool is_unicast = !base.is_v4() && !base.is_unspecified() && !base.is_multicast() &&
                            !base.is_link_local() && !base.is_v4_mapped();
    if (!is_length || !is_unicast || base.bytes()[kReserved] != 0)
        return fail(Code::Invalid, "{}: no prefix of a NAT64", prefix.text());
    return Nat64(prefix);
}

std::optional<Nat64> Nat64::found_in(std::span<const Address> answers) {
    const std::array known{*Address::parse("192.0.0.170"), *Address::parse("192.0.0.171")};
    for (const Address& answer : answers)
        for (const uint8_t length : kLengths) {
            if (answer.is_v4()) continue;
            const auto made = of(*Prefix::of(answer, length));
            // No more than one length fits: nothing follows the last byte, which is not zero.
            const auto v4 = made ? made->extract(answer) : std::nullopt;
            if (v4 && std::find(known.begin(), known.end(), *v4) != known.end()) return *made;
        }
    return std::nullopt;
}

Address Nat64::embed(const Address& v4) const {
    Bytes6 bytes = bytes_of(prefix_.address());
    const auto places = places_of(prefix_.length());
    for (size_t i = 0; i < places.size(); ++i) bytes[places[i]] = v4.bytes()[i];
    return *Address::from_bytes(bytes);
}

std::optional<Address> Nat64::extract(const Address& v6) const {
    if (!prefix_.contains(v6)) return std::nullopt;
    const Bytes6 bytes = bytes_of(v6);
    std::array<uint8_t, 4> v4{};
    const auto places = places_of(prefix_.length());
    for (size_t i = 0; i < places.size(); ++i) v4[i] = bytes[places[i]];
    const auto address = *Address::from_bytes(v4);
    if (embed(address) != v6) return std::nullopt;
    return address;
}

bool Nat64::carries(const Address& address) {
    return address.is_v4() && !address.is_private() && !address.is_loopback() &&
           !address.is_link_local() && !address.is_multicast() && !address.is_unspecified();
}

Endpoint Nat64::to_send(const Endpoint& endpoint) const {
    if (!carries(endpoint.address)) return endpoint;
    return {embed(endpoint.address), endpoint.port};
}

Endpoint Nat64::as_known(const Endpoint& endpoint) const {
    const auto v4 = extract(endpoint.address);
    if (!v4 || !carries(*v4)) return endpoint;
    return {*v4, endpoint.port};
}

}  // namespace cvlan::reach
