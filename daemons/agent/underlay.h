// SPDX-License-Identifier: Apache-2.0
#pragma once

// What this machine is, below the overlay: its addresses (to report, and to know which peers are on
// the same wire), free ports, and the inventory that is shown to administrators.

#include <cstdint>
#include <optional>
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

// The kernel knows where to send a packet of IPv4 for the Internet.
bool leads_v4();

// The router that packets to everywhere go to, by IPv4.
struct Gateway {
    Address address{};
    uint32_t if_index = 0;
    bool operator==(const Gateway&) const = default;
};
Result<std::optional<Gateway>> read_gateway(netlink::Socket& socket);

// Where a network's port of this machine may be reached, best guess first, at most kMaxReported:
// the advertised endpoints, those `found` (mapped at a gateway, seen by a STUN server), then each
// own address with its port.
std::vector<Endpoint> own_endpoints(const std::vector<Endpoint>& advertised,
                                    const std::vector<Endpoint>& found,
                                    const reach::Underlay& underlay, uint16_t port);
std::vector<std::string> texts_of(const std::vector<Endpoint>& endpoints);

// The lowest port from `first` on that is not in `used` and that nobody is bound to, on IPv4 and
// IPv6. 0 if there is none in the next 1000.
uint16_t free_udp_port(uint16_t first, const std::vector<uint16_t>& used);

model::wire::Inventory read_inventory(bool with_mac_addresses);

}  // namespace cvlan::agent
