// SPDX-License-Identifier: Apache-2.0
#pragma once

// The frame of a daemon's main(): flags that each has, exit codes, readiness and signals. Only
// main.cc files include it.

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/log.h"

namespace cvlan {

inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kConfiguration = 78;  // wants a human (sysexits.h, EX_CONFIG)

struct ProgramFlags {
    std::string config;  // by default where the package puts it
    std::optional<std::string> state_dir{};
    std::optional<std::string> log_level{};
    bool check_config = false;
    bool print_config = false;
};

class Program {
public:
    Program(std::string name, std::string config_path)
        : name_(std::move(name)), flags_{.config = std::move(config_path)} {}

    struct Parts {
        const char* title;                         // of --help
        std::function<void(CLI::App&)> add_flags;  // beside those that each daemon has
        std::function<int()> run;                  // what the line asks for; the status
    };
    // What a library throws is caught here: we throw nothing.
    int main(int argc, char** argv, const Parts& parts);

    const std::string& name() const { return name_; }
    const ProgramFlags& flags() const { return flags_; }
    // Says it on standard error.
    int fail_with(const Error& error, int status) const;

private:
    std::string name_;
    ProgramFlags flags_;
};

// From here on the program works, and holds secrets: its log, its signals, no core dump.
void begin_work(log::Level level);
// Tells systemd, and turns the loop until SIGTERM or SIGINT. `end` then ends what is under way and
// calls its argument; a second signal ends the loop at once.
void run_until_told(EventLoop& loop, const std::function<void(std::function<void()> done)>& end);

}  // namespace cvlan
