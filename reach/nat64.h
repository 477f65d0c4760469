// SPDX-License-Identifier: Apache-2.0
#pragma once

// IPv4 from a network that has IPv6 alone: a NAT64 (RFC 6146) makes IPv4 packets of what is sent to
// an IPv4 address within its prefix. How one is written in the other is RFC 6052, how the prefix is
// found RFC 7050. Pure.

#include <optional>
#include <span>
#include <string_view>

#include "base/ip.h"

namespace cvlan::reach {

// The name whose IPv6 addresses a DNS64 makes of 192.0.0.170 and 192.0.0.171; it has no others.
inline constexpr std::string_view kIpv4OnlyName = "ipv4only.arpa";

class Nat64 {
public:
    // Code::Invalid but for the lengths 32, 40, 48, 56, 64 and 96, and for what is no unicast
    // prefix or has one of the bits 64 to 71 set (RFC 6052 section 2.2).
    static Result<Nat64> of(const Prefix& prefix);
    // From the IPv6 addresses of kIpv4OnlyName; the first one tells. None: there is no NAT64.
    static std::optional<Nat64> found_in(std::span<const Address> answers);

    const Prefix& prefix() const { return prefix_; }
    Address embed(const Address& v4) const;
    // The IPv4 address in it; none where it is not of this prefix, or not as embed() makes it.
    std::optional<Address> extract(const Address& v6) const;

    // Public IPv4 goes through it; what is private, or on this machine, does not.
    static bool carries(const Address& address);
    Endpoint to_send(const Endpoint& endpoint) const;
    Endpoint as_known(const Endpoint& endpoint) const;  // the reverse of to_send()

    bool operator==(const Nat64&) const = default;

private:
    explicit Nat64(const Prefix& prefix) : prefix_(prefix) {}
    Prefix prefix_;
};

}  // namespace cvlan::reach
