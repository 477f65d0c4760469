// SPDX-License-Identifier: Apache-2.0
#pragma once

// The request that begins a session (README.md): what is asked for, and the head that says yes.
// Pure.

#include <tl/expected.hpp>

#include "http/message.h"

namespace cvlan::relay {

inline constexpr const char* kPath = "/relay";
inline constexpr const char* kProtocol = "cvlan-relay";  // of the Upgrade header

struct Welcome {
    http::Response head;
    bool is_websocket = false;
};
// Who asks has been looked at already: this is about the form alone.
tl::expected<Welcome, http::Problem> welcome(const http::Request& request);

}  // namespace cvlan::relay
