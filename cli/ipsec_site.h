// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the device at the other end of an IPsec connection has to be told: the same connection,
// seen from there. Pure. The secret is not known here, and is left to be filled in.

#include <string>
#include <utility>
#include <vector>

#include "model/wire.h"

namespace cvlan::cli {

struct Site {
    model::wire::IpsecConnection connection;
    std::vector<std::string> our_subnets{};
    std::vector<std::string> our_addresses{};  // of the vrouter, best first; empty: not known
    bool approved_only = false;                // the network's crypto profile
};

// For /etc/swanctl/conf.d (swanctl.conf(5)).
std::string swanctl_of(const Site& site);
// A line a setting, for devices with a form of their own.
std::vector<std::pair<std::string, std::string>> settings_of(const Site& site);

}  // namespace cvlan::cli
