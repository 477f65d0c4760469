// SPDX-License-Identifier: Apache-2.0
#include "reconcile/kind_address.h"

#include <algorithm>

#include "netlink/address.h"
#include "reconcile/desired.h"
#include "reconcile/kernel.h"
#include "reconcile/observed.h"
#include "reconcile/step.h"

namespace cvlan::reconcile {

namespace {

std::string line(std::string_view verb, const DeviceAddress& address) {
    return fmt::format("{} address {} {}/{}", verb, address.device, address.address.text(),
                       address.length);
}

Result<netlink::InterfaceAddress> on_interface(Kernel& kernel, const DeviceAddress& address) {
    auto index = kernel.index_of(address.device);
    if (!index) return failed(index.error());
    return netlink::InterfaceAddress{*index, address.address, address.length};
}

}  // namespace

std::string text(const SetAddress& step) { return line("set", step.address); }
std::string text(const RemoveAddress& step) { return line("remove", step.address); }

Result<void> apply(Kernel& kernel, const SetAddress& step) {
    auto address = on_interface(kernel, step.address);
    if (!address) return failed(address.error());
    return netlink::add_address(kernel.route(), *address);
}

Result<void> apply(Kernel& kernel, const RemoveAddress& step) {
    auto address = on_interface(kernel, step.address);
    if (!address) return failed(address.error());
    return netlink::remove_address(kernel.route(), *address);
}

void diff_addresses(const Desired& want, const Observed& have, Changes& changes) {
    const auto order = [](const DeviceAddress& a, const DeviceAddress& b) { return a <=> b; };
    const auto is_kept = [&](const std::string& device) {
        return std::any_of(want.links.begin(), want.links.end(),
                           [&](const Link& link) { return link.device == device; });
    };
    merge(want.addresses, have.addresses, order,
          [&](const DeviceAddress* wanted, const DeviceAddress* found) {
              if (wanted != nullptr && found == nullptr && !have.is_device_taken(wanted->device))
                  changes.sets.push_back(SetAddress{*wanted});
              // With a device its addresses go.
              if (wanted == nullptr && is_kept(found->device))
                  changes.removals.push_back(RemoveAddress{*found});
          });
}

Result<void> observe_addresses(Kernel& kernel, const Desired&, Observed& have) {
    for (const ObservedLink& link : have.links) {
        auto index = kernel.index_of(link.device);
        if (!index) return failed(index.error());
        auto addresses = netlink::list_addresses(kernel.route(), *index);
        if (!addresses) return failed(addresses.error());
        for (const netlink::InterfaceAddress& each : *addresses)
            if (!each.address.is_link_local())
                have.addresses.push_back({link.device, each.address, each.prefix_length});
    }
    std::sort(have.addresses.begin(), have.addresses.end());
    return {};
}

}  // namespace cvlan::reconcile
