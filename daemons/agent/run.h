// SPDX-License-Identifier: Apache-2.0
#pragma once

// The programs that an Agent is: cvlan-agent, and cvlan-vrouter, where each tenant has a network
// namespace of its own. Flags, signals, readiness. Ending one ends no tunnel.

#include "daemons/agent/config.h"

namespace cvlan::agent {

struct AgentProgram {
    const char* name;
    const char* title;  // for --help
    const char* config_path;
    AgentConfig defaults{};
};

int run_program(int argc, char** argv, const AgentProgram& kind);

}  // namespace cvlan::agent
