// SPDX-License-Identifier: Apache-2.0
#pragma once

// Who of a network has which overlay address and WireGuard key. Each belongs to the first who
// claims it: the kernel would move an allowed IP from peer to peer without a word, and two owners
// would move it to and fro for ever.

#include <map>
#include <string>

#include "base/result.h"
#include "model/network_map.h"

namespace cvlan::model {

class Claims {
public:
    // All of the peer's, or Code::Conflict and nothing: who is refused keeps nobody else out.
    Result<void> take(const MapPeer& peer);

private:
    std::map<Address, std::string> addresses_;  // to the owner's node id
    std::map<std::string, std::string> keys_;   // base64, which has one form only
};

}  // namespace cvlan::model
