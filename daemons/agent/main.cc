// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/run.h"

int main(int argc, char** argv) {
    using namespace cvlan::agent;
    return run_program(
        argc, argv,
        {.name = "cvlan-agent",
         .title =
             "The CloudVLAN agent: makes the kernel of this node as its controller's map says.",
         .config_path = kDefaultConfigPath});
}
