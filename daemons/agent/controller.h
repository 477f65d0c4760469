// SPDX-License-Identifier: Apache-2.0
#pragma once

// The agent's connections to controllers: those of enrolee/, by the proxy of the configuration, and
// off the routes that the agent makes.

#include "enrolee/session.h"

namespace cvlan::agent {

using enrolee::Answer;
using enrolee::Controller;
using enrolee::Credentials;
using enrolee::Refusal;
using enrolee::Session;

// Our own traffic to the controller stays off our routes (decisions.md).
inline constexpr uint32_t kOwnMark = 0xCA000000;

inline enrolee::ControllerOptions by_proxy(enrolee::ControllerOptions options,
                                           const std::string& proxy) {
    options.proxy = proxy;
    options.fwmark = kOwnMark;
    return options;
}

}  // namespace cvlan::agent
