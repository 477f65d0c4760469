// SPDX-License-Identifier: Apache-2.0
#pragma once

// The file of a stock WireGuard client as a controller sends it. wg-quick(8) runs it as root, and
// some of its keys (PostUp, SaveConfig) run commands: a controller says which tunnels there are,
// and nothing of that kind.

#include <string_view>

#include "base/result.h"

namespace cvlan::cli {

// Comments, one [Interface] with Address and MTU, and [Peer]s with PublicKey, AllowedIPs, Endpoint
// and PersistentKeepalive. Malformed names the line that is anything else. Where it is good: where
// the [Interface] begins that has no key yet, behind its line.
Result<size_t> check_wireguard_file(std::string_view text);

}  // namespace cvlan::cli
