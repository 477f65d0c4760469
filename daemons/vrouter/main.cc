// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/run.h"

int main(int argc, char** argv) {
    using namespace cvlan::agent;
    AgentConfig defaults;
    defaults.state_dir = "/var/lib/cvlan-vrouter";
    defaults.socket = "/run/cvlan-vrouter/vrouter.sock";
    defaults.tenants_apart = true;
    return run_program(argc, argv,
                       {.name = "cvlan-vrouter",
                        .title = "The CloudVLAN gateway of tenants: passes on between their nodes, "
                                 "and to what is behind it.",
                        .config_path = "/etc/cvlan/vrouter.toml",
                        .defaults = std::move(defaults)});
}
