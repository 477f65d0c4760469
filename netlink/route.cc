// SPDX-License-Identifier: Apache-2.0
#include "netlink/route.h"

#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include <cerrno>

#include "netlink/libnl.h"

namespace cvlan::netlink {

namespace {

using RtnlRoute = Libnl<rtnl_route, rtnl_route_put>;

RtnlRoute object_of(const Route& route) {
    RtnlRoute object(rtnl_route_alloc());
    const NlAddr destination = to_libnl(route.destination.address(), route.destination.length());
    rtnl_route_set_dst(object.get(), destination.get());
    rtnl_route_set_family(object.get(), static_cast<uint8_t>(route.destination.address().af()));
    rtnl_route_set_table(object.get(), route.table);
    rtnl_route_set_protocol(object.get(), route.protocol);
    rtnl_route_set_scope(object.get(), route.scope);
    rtnl_route_set_type(object.get(), route.type);
    if (route.metric != 0) rtnl_route_set_priority(object.get(), route.metric);
    if (route.preferred_source) {
        const NlAddr source = to_libnl(*route.preferred_source, route.preferred_source->bits());
        rtnl_route_set_pref_src(object.get(), source.get());
    }
    if (route.ifindex == 0 && !route.gateway) return object;
    rtnl_nexthop* hop = rtnl_route_nh_alloc();
    if (route.ifindex != 0) rtnl_route_nh_set_ifindex(hop, route.ifindex);
    if (route.gateway) {
        const NlAddr gateway = to_libnl(*route.gateway, route.gateway->bits());
        rtnl_route_nh_set_gateway(hop, gateway.get());
    }
    rtnl_route_add_nexthop(object.get(), hop);  // the route owns it from here on
    return object;
}

std::string doing(std::string_view verb, const Route& route) {
    return fmt::format("{} route {} in table {}", verb, route.destination.text(), route.table);
}

// libnl gives a default route a destination without bytes.
Result<Prefix> destination_of(rtnl_route* object) {
    nl_addr* destination = rtnl_route_get_dst(object);
    const auto address = from_libnl(destination);
    if (address)
        return Prefix::of(*address, static_cast<uint8_t>(nl_addr_get_prefixlen(destination)));
    const std::array<uint8_t, 16> zeros{};
    const size_t size = rtnl_route_get_family(object) == AF_INET ? 4 : 16;
    auto any = Address::from_bytes(ByteView(zeros).first(size));
    if (!any) return failed(any.error());
    return Prefix::of(*any, 0);
}

Message dump_request(uint8_t family, const RouteFilter& filter) {
    Message message(RTM_GETROUTE, 0);
    rtmsg head{};
    head.rtm_family = family;
    head.rtm_protocol = filter.protocol;
    message.put_header(head);
    if (filter.table != 0) message.put(RTA_TABLE, filter.table);
    if (filter.ifindex != 0) message.put(RTA_OIF, filter.ifindex);
    return message;
}

bool matches(const Route& route, const RouteFilter& filter) {
    return (filter.table == 0 || route.table == filter.table) &&
           (filter.protocol == 0 || route.protocol == filter.protocol) &&
           (filter.ifindex == 0 || route.ifindex == filter.ifindex);
}

Result<void> put(Socket& socket, const Route& route, int flags) {
    const RtnlRoute object = object_of(route);
    auto message = build_request([&](nl_msg** built) {
        return rtnl_route_build_add_request(object.get(), NLM_F_CREATE | flags, built);
    });
    auto done = message ? socket.request(*message) : Result<void>(failed(message.error()));
    if (!done) return failed(done.error().while_doing(doing("set", route)));
    return {};
}

}  // namespace

Result<std::optional<Route>> parse_route(const Reply& reply) {
    auto parsed = parse_object(reply);
    if (!parsed) return failed(parsed.error());
    if (!*parsed) return fail(Code::Malformed, "not a route");
    auto* object = reinterpret_cast<rtnl_route*>(parsed->get());
    const int family = rtnl_route_get_family(object);
    if (family != AF_INET && family != AF_INET6) return std::nullopt;
    if (rtnl_route_get_nnexthops(object) > 1) return std::nullopt;
    if ((rtnl_route_get_flags(object) & RTM_F_CLONED) != 0) return std::nullopt;

    auto destination = destination_of(object);
    if (!destination) return failed(destination.error());
    Route route;
    route.destination = *destination;
    route.table = rtnl_route_get_table(object);
    route.preferred_source = from_libnl(rtnl_route_get_pref_src(object));
    route.metric = rtnl_route_get_priority(object);
    route.protocol = rtnl_route_get_protocol(object);
    route.type = rtnl_route_get_type(object);
    route.scope = rtnl_route_get_scope(object);
    if (rtnl_route_get_nnexthops(object) == 1) {
        rtnl_nexthop* hop = rtnl_route_nexthop_n(object, 0);
        route.ifindex = rtnl_route_nh_get_ifindex(hop);
        route.gateway = from_libnl(rtnl_route_nh_get_gateway(hop));
    }
    return route;
}

namespace {

// Multicast routes come with those of all families.
bool is_ip(const Reply& reply) {
    if (reply.payload.size() < sizeof(rtmsg)) return true;  // left to the parser
    const uint8_t family = reply.payload[offsetof(rtmsg, rtm_family)];
    return family == AF_INET || family == AF_INET6;
}

Result<std::vector<Route>> list(Socket& socket, uint8_t family, const RouteFilter& filter) {
    Message message = dump_request(family, filter);
    std::vector<Route> routes;
    auto done = socket.dump(
        message, [&] { routes.clear(); },
        [&](const Reply& reply) -> Result<void> {
            if (!is_ip(reply)) return {};
            auto route = parse_route(reply);
            if (!route) return failed(route.error());
            // A kernel without strict checks does not filter.
            if (*route && matches(**route, filter)) routes.push_back(**route);
            return {};
        });
    // net/ipv4/fib_frontend.c: a table is made by its first route.
    if (!done && filter.table != 0 && done.error().sys_errno == ENOENT) return {};
    if (!done) return failed(done.error().while_doing("list routes"));
    return routes;
}

}  // namespace

Result<std::vector<Route>> list_routes(Socket& socket, Family family, const RouteFilter& filter) {
    return list(socket, family == Family::V4 ? AF_INET : AF_INET6, filter);
}

// net/core/rtnetlink.c: rtnl_dump_all() asks each family in turn.
Result<std::vector<Route>> list_routes(Socket& socket, const RouteFilter& filter) {
    return list(socket, AF_UNSPEC, filter);
}

Result<void> add_route(Socket& socket, const Route& route) {
    return put(socket, route, NLM_F_EXCL);
}

Result<void> replace_route(Socket& socket, const Route& route) {
    return put(socket, route, NLM_F_REPLACE);
}

Result<void> remove_route(Socket& socket, const Route& route) {
    const RtnlRoute object = object_of(route);
    auto message = build_request(
        [&](nl_msg** built) { return rtnl_route_build_del_request(object.get(), 0, built); });
    auto done = message ? socket.request(*message) : Result<void>(failed(message.error()));
    if (!done) return failed(done.error().while_doing(doing("remove", route)));
    return {};
}

}  // namespace cvlan::netlink
