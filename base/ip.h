// SPDX-License-Identifier: Apache-2.0
#pragma once

// Addresses, prefixes and endpoints of IPv4 and IPv6, as values: ordered, hashable by text, no
// resolver. Parsers take the canonical and the usual other forms (RFC 4291) and refuse zones,
// leading zeros and anything after the address.

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cvlan {

enum class Family : uint8_t { V4 = 4, V6 = 6 };

class Address {
public:
    Address() = default;  // 0.0.0.0
    static Result<Address> parse(std::string_view text);
    // 4 or 16 bytes in network order; any other size is Code::Malformed.
    static Result<Address> from_bytes(std::span<const uint8_t> bytes);

    Family family() const { return family_; }
    bool is_v4() const { return family_ == Family::V4; }
    int af() const { return is_v4() ? AF_INET : AF_INET6; }
    uint8_t bits() const { return is_v4() ? 32 : 128; }
    std::span<const uint8_t> bytes() const { return {bytes_.data(), is_v4() ? 4u : 16u}; }
    std::string text() const;

    bool is_unspecified() const;
    bool is_loopback() const;
    bool is_link_local() const;
    bool is_multicast() const;
    bool is_private() const;  // RFC 1918, RFC 6598, fc00::/7
    bool is_v4_mapped() const;
    // This address plus `offset`, wrapping at the end of its family.
    Address plus(int64_t offset) const;

    auto operator<=>(const Address&) const = default;

private:
    Family family_ = Family::V4;
    std::array<uint8_t, 16> bytes_{};
};

class Prefix {
public:
    Prefix() = default;  // 0.0.0.0/0
    // Refuses host bits: "10.0.0.1/24" is Code::Invalid and names 10.0.0.0/24.
    static Result<Prefix> parse(std::string_view text);
    // Clears the host bits. A length above the family's is Code::Invalid.
    static Result<Prefix> of(const Address& address, uint8_t length);
    static Prefix host(const Address& address);  // /32 or /128

    const Address& address() const { return address_; }
    uint8_t length() const { return length_; }
    Family family() const { return address_.family(); }
    bool contains(const Address& address) const;
    bool overlaps(const Prefix& other) const;
    Address last() const;  // the highest address in it
    std::string text() const;

    auto operator<=>(const Prefix&) const = default;

private:
    Address address_;
    uint8_t length_ = 0;
};

// An address with a UDP or TCP port: "192.0.2.1:51820", "[2001:db8::1]:51820".
struct Endpoint {
    Address address;
    uint16_t port = 0;

    static Result<Endpoint> parse(std::string_view text);
    static Result<Endpoint> from_sockaddr(const sockaddr* address, socklen_t size);
    std::string text() const;
    // Fills `storage` and returns its length.
    socklen_t to_sockaddr(sockaddr_storage& storage) const;

    auto operator<=>(const Endpoint&) const = default;
};

}  // namespace cvlan
