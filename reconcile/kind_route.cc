// SPDX-License-Identifier: Apache-2.0
#include "reconcile/kind_route.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <tuple>

#include "netlink/route.h"
#include "reconcile/desired.h"
#include "reconcile/kernel.h"
#include "reconcile/observed.h"
#include "reconcile/step.h"

namespace cvlan::reconcile {

namespace {

constexpr uint32_t kIpv6Metric = 1024;  // linux/ipv6_route.h: IP6_RT_PRIO_USER
constexpr uint32_t kGuardMetric = 0xfffffffe;

auto key_of(const DeviceRoute& route) {
    return std::tie(route.table, route.destination, route.metric);
}

std::string line(std::string_view verb, const DeviceRoute& route) {
    std::string line =
        fmt::format("{} route {} table {}", verb, route.destination.text(), route.table);
    if (!route.device.empty()) line += " dev " + route.device;
    if (route.device.empty() && route.is_plain) line += " unreachable";
    if (route.source) line += " src " + route.source->text();
    return line;
}

netlink::Route to_netlink(const DeviceRoute& route, int index) {
    if (route.device.empty())
        return {.destination = route.destination,
                .table = route.table,
                .ifindex = index,
                .metric = route.metric,
                .protocol = kProtocol,
                .type = RTN_UNREACHABLE};
    return {.destination = route.destination,
            .table = route.table,
            .ifindex = index,
            .gateway = {},
            .preferred_source = route.source,
            .metric = route.metric,
            .protocol = kProtocol,
            .type = RTN_UNICAST,
            .scope = static_cast<uint8_t>(
                route.destination.family() == Family::V4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE)};
}

DeviceRoute from_netlink(const Kernel& kernel, const netlink::Route& route) {
    DeviceRoute found{.table = route.table,
                      .destination = route.destination,
                      .device = kernel.name_of(route.ifindex),
                      .source = route.preferred_source,
                      .metric = route.metric};
    found.is_plain = to_netlink(found, route.ifindex) == route;
    return found;
}

// Others in the table of a wanted network: packets for them would come by our rule.
Result<void> observe_foreign(Kernel& kernel, uint32_t table, Observed& have) {
    auto routes = netlink::list_routes(kernel.route(), {.table = table});
    if (!routes) return failed(routes.error());
    for (const netlink::Route& route : *routes) {
        if (route.protocol == kProtocol) continue;
        have.foreign.push_back(
            {.holds = Foreign::Holds::Index,
             .index = table - kTableBase,
             .what = fmt::format("route {} table {} protocol {} is not ours",
                                 route.destination.text(), table, route.protocol)});
        return {};
    }
    return {};
}

}  // namespace

DeviceRoute device_route(uint32_t table, const Prefix& destination, const std::string& device,
                         const Address& source) {
    return {.table = table,
            .destination = destination,
            .device = device,
            .source = source,
            .metric = destination.family() == Family::V4 ? 0 : kIpv6Metric};
}

DeviceRoute guard_route(uint32_t table, const Prefix& destination) {
    return {.table = table, .destination = destination, .metric = kGuardMetric};
}

std::string text(const SetRoute& step) { return line("set", step.route); }
std::string text(const RemoveRoute& step) { return line("remove", step.route); }

Result<void> apply(Kernel& kernel, const SetRoute& step) {
    Result<int> index = 0;
    if (!step.route.device.empty()) index = kernel.index_of(step.route.device);
    if (!index) return failed(index.error());
    const netlink::Route route = to_netlink(step.route, *index);
    // Replacing where nothing of ours was seen could hit what a foreigner has put there since.
    return step.replaces ? netlink::replace_route(kernel.route(), route)
                         : netlink::add_route(kernel.route(), route);
}

Result<void> apply(Kernel& kernel, const RemoveRoute& step) {
    netlink::Route route = to_netlink(step.route, 0);
    route.preferred_source.reset();
    route.type = RTN_UNSPEC;         // whatever it is: table, destination, metric and
    route.scope = RT_SCOPE_NOWHERE;  // protocol say that it is ours
    return netlink::remove_route(kernel.route(), route);
}

void diff_routes(const Desired& want, const Observed& have, Changes& changes) {
    const auto order = [](const DeviceRoute& a, const DeviceRoute& b) {
        return key_of(a) <=> key_of(b);
    };
    merge(want.routes, have.routes, order,
          [&](const DeviceRoute* wanted, const DeviceRoute* found) {
              if (wanted == nullptr) {
                  changes.removals.push_back(RemoveRoute{*found});
                  return;
              }
              if (found != nullptr && *wanted == *found) return;
              if (have.is_device_taken(wanted->device)) return;
              if (have.is_index_taken(wanted->table - kTableBase)) return;
              changes.sets.push_back(SetRoute{*wanted, found != nullptr});
          });
}

Result<void> observe_routes(Kernel& kernel, const Desired& want, Observed& have) {
    auto routes = netlink::list_routes(kernel.route(), {.protocol = kProtocol});
    if (!routes) return failed(routes.error());
    for (const netlink::Route& route : *routes)
        if (is_our_table(route.table)) have.routes.push_back(from_netlink(kernel, route));
    std::sort(have.routes.begin(), have.routes.end(),
              [](const auto& a, const auto& b) { return key_of(a) < key_of(b); });
    uint32_t last = 0;
    for (const DeviceRoute& route : want.routes) {
        if (route.table == last) continue;
        last = route.table;
        auto done = observe_foreign(kernel, route.table, have);
        if (!done) return done;
    }
    return {};
}

}  // namespace cvlan::reconcile
