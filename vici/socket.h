// SPDX-License-Identifier: Apache-2.0
#pragma once

// The unix socket that charon listens on.

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace cvlan::vici {

inline constexpr const char* kDefaultSocket = "/run/cvlan/charon.vici";

// Where charon is, and who it may be: whoever listens there is given keys. The owner of the process
// is root, the caller's own user or this one (SO_PEERCRED).
struct SocketAt {
    std::string path = kDefaultSocket;
    std::optional<uid_t> owner{};
};

// A connected stream that does not block. Code::Unavailable where nobody listens (no such file, no
// socket, or its queue of connections is full), Denied where it is not ours to use, or somebody
// else's.
Result<UniqueFd> connect_to(const SocketAt& at);

}  // namespace cvlan::vici
