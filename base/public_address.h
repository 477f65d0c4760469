// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which addresses belong to the Internet, and which only mean something here: what a server fetches
// for somebody else must not reach its own neighbours.

#include "base/ip.h"

namespace cvlan {

// Whether the address is globally reachable, by the IANA registries of special-purpose addresses
// (RFC 6890). False for what carries an IPv4 address that is not: mapped, 6to4, NAT64, Teredo.
bool is_public(const Address& address);

}  // namespace cvlan
