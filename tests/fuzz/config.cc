// SPDX-License-Identifier: Apache-2.0
// TOML from a file of an administrator: whatever it holds, it is a configuration or a list of
// faults.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "daemons/agent/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan::agent;
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    const auto nothing = [](const char*) -> const char* { return nullptr; };
    const auto config = parse_config(text, "agent.toml", {}, nothing);
    if (!config) return 0;
    // What is taken prints, and what is printed reads back the same.
    const std::string printed = print_config(*config);
    const auto again = parse_config(printed, "agent.toml", {}, nothing);
    if (!again || print_config(*again) != printed) __builtin_trap();
    return 0;
}
