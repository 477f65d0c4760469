// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernel holds of ours, read anew each round, and the foreign objects that are in the way
// of what is wanted. Sections are sorted as those of Desired.

#include <string>
#include <vector>

#include "kernel-wg/types.h"
#include "reconcile/kind.h"
#include "reconcile/kind_address.h"
#include "reconcile/kind_link.h"
#include "reconcile/kind_route.h"
#include "reconcile/kind_rule.h"

namespace cvlan::reconcile {

// A foreign object which holds a value that we want for ourselves. Never touched; nothing of
// ours is put beside it.
struct Foreign {
    // Device: the name is taken, an error. Index: table or priority is taken, take another index.
    enum class Holds { Device, Index };
    Holds holds = Holds::Device;
    std::string device{};  // ours-to-be, for Holds::Device
    uint32_t index = 0;    // for Holds::Index
    std::string what{};    // "rule 5200 from all lookup 52000 is not ours"
    bool operator==(const Foreign&) const = default;
};

struct Observed {
    Scope scope = Scope::Everything;  // sections outside of it are empty
    std::vector<ObservedLink> links;
    std::vector<DeviceAddress> addresses;
    std::vector<wg::Device> wireguard;  // peers in the kernel's order; private keys are not kept
    std::vector<DeviceRoute> routes;
    std::vector<PolicyRule> rules;
    std::vector<Foreign> foreign;

    bool is_device_taken(std::string_view device) const;
    bool is_index_taken(uint32_t index) const;
    // Of the network's two kinds the one that `want` is.
    const ObservedLink* link_of(const Link& want) const;
    const wg::Device* wireguard_device(std::string_view device) const;
};

}  // namespace cvlan::reconcile
