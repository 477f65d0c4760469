// SPDX-License-Identifier: Apache-2.0
#pragma once

// Addresses of interfaces (rtnetlink RTM_*ADDR), IPv4 and IPv6, of the namespace of the Socket.

#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "netlink/socket.h"

namespace cvlan::netlink {

// `address` keeps its host bits.
struct InterfaceAddress {
    int ifindex = 0;
    Address address;
    uint8_t prefix_length = 0;
    bool is_settled = true;  // neither tentative nor a duplicate, and not on its way out (RFC 4862)
    bool operator==(const InterfaceAddress&) const = default;
};

// All addresses of the namespace, or of one interface.
Result<std::vector<InterfaceAddress>> list_addresses(Socket& socket, int ifindex = 0);
// IPv6 addresses are added without duplicate address detection: ours are given by a controller
// and must be usable at once. Code::Exists if it is there.
Result<void> add_address(Socket& socket, const InterfaceAddress& address);
// Code::NotFound if it is not there.
Result<void> remove_address(Socket& socket, const InterfaceAddress& address);

// One RTM_NEWADDR as a monitor or a dump brings it.
Result<InterfaceAddress> parse_address(const Reply& reply);

}  // namespace cvlan::netlink
