// SPDX-License-Identifier: Apache-2.0
#pragma once

// How packets go to a peer, as people read it: "DIRECT", "RELAY berlin UDP", "VROUTER gw", "NONE".

#include <optional>
#include <string>

#include "model/local.h"

namespace cvlan::cli {

// Of a peer or a probe.
template <class Told>
std::string path_text(const Told& told) {
    using model::local::PathKind;
    const PathKind path = told.path;
    if (path == PathKind::Vrouter) return "VROUTER" + (told.vrouter ? " " + *told.vrouter : "");
    if (path != PathKind::RelayUdp && path != PathKind::RelayTls) return std::string(text(path));
    const char* how = path == PathKind::RelayUdp ? "UDP" : "TLS";
    return "RELAY " + (told.relay ? *told.relay + " " : "") + how;
}

}  // namespace cvlan::cli
