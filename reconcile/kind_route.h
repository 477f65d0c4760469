// SPDX-License-Identifier: Apache-2.0
#pragma once

// The prefix of each network as a route in the network's own table, known as ours by protocol and
// table together.

#include <cstdint>
#include <optional>
#include <string>

#include "base/ip.h"
#include "reconcile/kind.h"

namespace cvlan::reconcile {

struct DeviceRoute {
    uint32_t table = 0;
    Prefix destination;
    std::string device{};  // empty: none, as of a guard
    std::optional<Address> source{};
    uint32_t metric = 0;
    bool is_plain = true;  // false: has a gateway, a type or a scope which ours never have
    auto operator<=>(const DeviceRoute&) const = default;
};

// The route of a network's prefix as we write it. IPv6's metric is what the kernel makes of none.
DeviceRoute device_route(uint32_t table, const Prefix& destination, const std::string& device,
                         const Address& source);

// What catches the packets of a table when the device's own route has gone with it, so that they do
// not take the default route in clear (xfrm/README.md). Any other route wins over it.
DeviceRoute guard_route(uint32_t table, const Prefix& destination);

struct SetRoute {
    DeviceRoute route;
    bool replaces = false;  // one of ours with the same table, destination and metric
    bool operator==(const SetRoute&) const = default;
};

struct RemoveRoute {
    DeviceRoute route;
    bool operator==(const RemoveRoute&) const = default;
};

std::string text(const SetRoute& step);
std::string text(const RemoveRoute& step);
Result<void> apply(Kernel& kernel, const SetRoute& step);
Result<void> apply(Kernel& kernel, const RemoveRoute& step);

void diff_routes(const Desired& want, const Observed& have, Changes& changes);
Result<void> observe_routes(Kernel& kernel, const Desired& want, Observed& have);

}  // namespace cvlan::reconcile
