// SPDX-License-Identifier: Apache-2.0
#pragma once

// The node's addresses on its devices, /32 and /128. A device of ours is ours with all its
// addresses, IPv6 link-local ones aside, which the kernel may put there.

#include <cstdint>
#include <string>

#include "base/ip.h"
#include "reconcile/kind.h"

namespace cvlan::reconcile {

struct DeviceAddress {
    std::string device;
    Address address;
    uint8_t length = 0;
    auto operator<=>(const DeviceAddress&) const = default;
};

struct SetAddress {
    DeviceAddress address;
    bool operator==(const SetAddress&) const = default;
};

struct RemoveAddress {
    DeviceAddress address;
    bool operator==(const RemoveAddress&) const = default;
};

std::string text(const SetAddress& step);
std::string text(const RemoveAddress& step);
Result<void> apply(Kernel& kernel, const SetAddress& step);
Result<void> apply(Kernel& kernel, const RemoveAddress& step);

void diff_addresses(const Desired& want, const Observed& have, Changes& changes);
Result<void> observe_addresses(Kernel& kernel, const Desired& want, Observed& have);

}  // namespace cvlan::reconcile
