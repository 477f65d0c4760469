// SPDX-License-Identifier: Apache-2.0
#pragma once

// The device of each network as a network interface: name, ifalias, MTU, up. It is a WireGuard
// device, or an xfrm interface where the network's packets go by IPsec. Known as ours by its
// ifalias, so one that was renamed is found and gets its name back.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "reconcile/kind.h"

namespace cvlan::reconcile {

struct Link {
    std::string device;
    std::string network_id;
    uint32_t mtu = 0;
    uint32_t if_id = 0;   // of an xfrm interface; 0: a WireGuard device
    std::string netns{};  // the name of the namespace it is in, of TenantHost; empty: the host's
    auto operator<=>(const Link&) const = default;
};

struct ObservedLink {
    std::string device;
    std::string network_id;  // of its ifalias
    uint32_t mtu = 0;
    bool up = false;
    uint32_t if_id = 0;
    auto operator<=>(const ObservedLink&) const = default;
};

// Adds the link, or changes what differs.
struct SetLink {
    std::string device;
    std::string network_id;
    std::string found_as{};  // the name it has now; empty: it is to be added
    std::optional<uint32_t> mtu{};
    bool up = false;                  // bring it up
    std::optional<uint32_t> if_id{};  // added with it, it is an xfrm interface
    bool operator==(const SetLink&) const = default;
};

struct RemoveLink {
    std::string device;
    bool operator==(const RemoveLink&) const = default;
};

std::string text(const SetLink& step);
std::string text(const RemoveLink& step);
Result<void> apply(Kernel& kernel, const SetLink& step);
Result<void> apply(Kernel& kernel, const RemoveLink& step);

void diff_links(const Desired& want, const Observed& have, Changes& changes);
Result<void> observe_links(Kernel& kernel, const Desired& want, Observed& have);

}  // namespace cvlan::reconcile
