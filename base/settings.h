// SPDX-License-Identifier: Apache-2.0
#pragma once

// The keys of a daemon on a node's machine, each from where it is set first: flag, environment
// CVLAN_<KEY>, file, default. And how --print-config writes values.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/ip.h"
#include "base/log.h"

namespace cvlan {

// `environment` is getenv, or a map in tests; nullptr where a variable is not set.
using Environment = const char* (*)(const char* name);

// Environment before file. The file's value is asked for in any case, so that a wrong one is found
// even while it is overridden.
class Settings {
public:
    Settings(Config file, Environment environment)
        : file_(std::move(file)), environment_(environment) {}

    std::optional<std::string> text(std::string_view key);
    std::optional<int64_t> integer(std::string_view key, int64_t lowest, int64_t highest);
    std::optional<bool> boolean(std::string_view key);
    std::optional<Endpoint> endpoint(std::string_view key);
    // Of a listener for this machine alone.
    std::optional<Endpoint> loopback_endpoint(std::string_view key);
    // The key log_level, or the flag where it was given.
    std::optional<log::Level> log_level(const std::optional<std::string>& flag);

    // For what stands in the file alone.
    Config& file() { return file_; }
    // Every fault found so far and every unknown key, a line each.
    Result<void> finish() const;

private:
    std::optional<std::string> from_environment(std::string_view key) const;
    void wrong(std::string_view key, std::string_view why);

    Config file_;
    Environment environment_;
    std::vector<std::string> faults_;
};

std::string toml_string(std::string_view text);  // quoted
std::string_view level_text(log::Level level);   // as parse_level takes it

}  // namespace cvlan
