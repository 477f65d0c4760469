// SPDX-License-Identifier: Apache-2.0
#pragma once

// How packets go to a peer, as people read it: "DIRECT", "RELAY berlin UDP", "NONE".

#include <optional>
#include <string>

#include "model/local.h"

namespace cvlan::cli {

inline std::string path_text(model::local::PathKind path, const std::optional<std::string>& relay) {
    using model::local::PathKind;
    if (path != PathKind::RelayUdp && path != PathKind::RelayTls) return std::string(text(path));
    const char* how = path == PathKind::RelayUdp ? "UDP" : "TLS";
    return "RELAY " + (relay ? *relay + " " : "") + how;
}

}  // namespace cvlan::cli
