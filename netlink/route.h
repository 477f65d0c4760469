// SPDX-License-Identifier: Apache-2.0
#pragma once

// Unicast routes and their like (rtnetlink RTM_*ROUTE) of the namespace of the Socket given.

#include <linux/rtnetlink.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "netlink/socket.h"

namespace cvlan::netlink {

// A route with one next hop or none. `scope` is IPv4's alone. What the kernel fills in when left at
// zero (IPv6: metric 1024) comes back filled in.
struct Route {
    Prefix destination;
    uint32_t table = RT_TABLE_MAIN;
    int ifindex = 0;  // 0: none, as for blackhole
    std::optional<Address> gateway{};
    std::optional<Address> preferred_source{};
    uint32_t metric = 0;
    uint8_t protocol = RTPROT_STATIC;
    uint8_t type = RTN_UNICAST;
    uint8_t scope = RT_SCOPE_UNIVERSE;
    bool operator==(const Route&) const = default;
};

// The kernel itself leaves out what does not match. Zero matches any.
struct RouteFilter {
    uint32_t table = 0;
    uint8_t protocol = 0;
    int ifindex = 0;
};

// A table which does not exist has no routes. Multipath routes and cached ones are left out.
Result<std::vector<Route>> list_routes(Socket& socket, Family family, const RouteFilter& filter);
// Of both families, in one dump.
Result<std::vector<Route>> list_routes(Socket& socket, const RouteFilter& filter);
// Code::Exists if one with the same destination, table and metric is there.
Result<void> add_route(Socket& socket, const Route& route);
// Adds it or puts it in the place of the one with the same destination, table and metric.
Result<void> replace_route(Socket& socket, const Route& route);
// Removes the one that agrees in all fields which are set. Code::NotFound if there is none.
Result<void> remove_route(Socket& socket, const Route& route);

// One RTM_NEWROUTE as a monitor or a dump brings it; nothing for those that list_routes leaves out.
Result<std::optional<Route>> parse_route(const Reply& reply);

}  // namespace cvlan::netlink
