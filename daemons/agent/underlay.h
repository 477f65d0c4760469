// SPDX-License-Identifier: Apache-2.0
#pragma once

// What this machine is, below the overlay: its addresses (to report, and to know which peers are on
// the same wire), free ports, and the inventory that is shown to administrators.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "model/wire.h"
#include "netlink/address.h"
#include "netlink/link.h"
#include "netlink/socket.h"
#include "reach/candidates.h"

namespace cvlan::agent {

inline constexpr size_t kMaxReported = 16;  // as many as a controller takes

// Usable addresses of up interfaces that are not ours: no loopback, link-local or multicast.
reach::Underlay underlay_of(const std::vector<netlink::Link>& links,
                            const std::vector<netlink::InterfaceAddress>& addresses);
Result<reach::Underlay> read_underlay(netlink::Socket& socket);

// What is reported for a network: the advertised endpoints, then each own address with its port.
std::vector<std::string> endpoints_to_report(const std::vector<Endpoint>& advertised,
                                             const reach::Underlay& underlay, uint16_t port);

// The lowest port from `first` on that is not in `used` and that nobody is bound to, on IPv4 and
// IPv6. 0 if there is none in the next 1000.
uint16_t free_udp_port(uint16_t first, const std::vector<uint16_t>& used);

model::wire::Inventory read_inventory(bool with_mac_addresses);

}  // namespace cvlan::agent
