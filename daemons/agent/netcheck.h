// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is known of the network that this machine is in, for people.

#include <optional>
#include <vector>

#include "daemons/agent/relay_links.h"
#include "model/local.h"
#include "reach/discovery.h"
#include "reach/port_mapper.h"
#include "reach/way.h"

namespace cvlan::agent {

struct NetcheckFacts {
    reach::Discovery::Result v4{}, v6{};
    reach::Underlay underlay{};
    std::optional<reach::MappedPort> mapped{};
    std::optional<uint16_t> mtu{};
    std::vector<RelayView> relays{};
    bool maps_ports = false;               // somebody is asked to
    std::optional<bool> is_intercepted{};  // something answered in the controller's place
};
// Pure.
model::local::NetcheckReport netcheck_of(const NetcheckFacts& facts);

// The MTU of the path towards this endpoint as the kernel knows it: its device's, or what was
// learnt since. Nothing where there is no route. Sends nothing.
std::optional<uint16_t> path_mtu(const Endpoint& to, uint32_t mark);

}  // namespace cvlan::agent
