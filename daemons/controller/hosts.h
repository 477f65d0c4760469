// SPDX-License-Identifier: Apache-2.0
#pragma once

// By which names and addresses a controller is known: what a Host header may say at its listeners
// (against DNS rebinding), and what no network of a tenant may hold.

#include <string>
#include <vector>

#include "base/ip.h"
#include "daemons/controller/config.h"

namespace cvlan::controller {

// For http::Limits::allowed_hosts: the server's name, and the listener's address where it is one.
std::vector<std::string> hosts_at(const std::string& server_name, const Endpoint& listener);
// Likewise, for a listener on loopback.
std::vector<std::string> local_hosts(const Endpoint& listener);

// The addresses it listens on, but [::] and 0.0.0.0, and those its name has. Asks the resolver, and
// waits for it: only to be called at the start. A name without addresses is no error.
std::vector<Address> own_addresses(const std::string& server_name, const ControllerConfig& config);

}  // namespace cvlan::controller
