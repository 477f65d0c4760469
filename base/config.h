// SPDX-License-Identifier: Apache-2.0
#pragma once

// A daemon's configuration: TOML in one file. A program asks for each key it knows; finish() then
// refuses every key that nobody asked for, with its line and column. Errors read
// "/etc/cvlan/agent.toml:3:1: unknown key 'stat_dir'". Precedence: flag, environment CVLAN_<KEY>,
// file, default.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace cvlan {

class Config {
public:
    // Refuses a file that is absent, a link, no regular file, above 1 MiB or writable by others.
    static Result<Config> load(const std::string& path);
    static Result<Config> parse(std::string_view text, std::string path);

    Config(Config&&) noexcept;
    Config& operator=(Config&&) noexcept;
    ~Config();

    // `key` is dotted: "listen.api". A value of another type is kept as an error for finish().
    std::optional<std::string> text(std::string_view key);
    std::optional<int64_t> integer(std::string_view key, int64_t lowest, int64_t highest);
    std::optional<bool> boolean(std::string_view key);
    std::optional<std::vector<std::string>> texts(std::string_view key);
    // Marks the value of `key` as wrong, for checks that only the program can make.
    void reject(std::string_view key, std::string_view why);

    // Every fault found so far and every unknown key, a line each.
    Result<void> finish() const;

private:
    struct State;
    explicit Config(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace cvlan
