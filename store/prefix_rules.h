// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which prefixes a network may have, and which of their addresses a node may get. Pure.

#include <string>
#include <string_view>

#include "base/ip.h"

namespace cvlan::store {

// Code::Invalid, naming the range that the prefix meets. `field` is "ipv4" or "ipv6".
Result<void> check_prefix(std::string_view field, const Prefix& prefix);

// The addresses for nodes, both included. IPv4: all but network and broadcast address; both of a
// /31 (RFC 3021), the one of a /32. IPv6: all but the lowest, the subnet routers' anycast (RFC 4291
// section 2.6.1); both of a /127 (RFC 6164), the one of a /128.
struct UsableRange {
    Address first;
    Address last;
};
UsableRange usable_range(const Prefix& prefix);
// How many they are, as text: an IPv6 network has more than fit a number.
std::string usable_count(const Prefix& prefix);

// fd00::/8 with 40 random bits, and a random subnet of it (RFC 4193 section 3.2).
Prefix random_ula();

}  // namespace cvlan::store
