// SPDX-License-Identifier: Apache-2.0
#pragma once

// Kinds of options that CLI11 does not have, or words in a way of its own.

#include <CLI/CLI.hpp>
#include <vector>

#include "cli/cli.h"

namespace cvlan::cli {

// One of a few words; anything else is a usage error that lists them.
template <class T>
CLI::Option* add_choice(CLI::App& app, const char* flags, T& out,
                        const std::vector<std::pair<std::string, T>>& words, const char* help) {
    const auto take = [flags, &out, words](const std::string& text) {
        std::vector<std::string> names;
        for (const auto& [word, value] : words) {
            if (word == text) return void(out = value);
            names.push_back(word);
        }
        throw CLI::ValidationError(flags,
                                   fmt::format("'{}' is none of {}", text, fmt::join(names, ", ")));
    };
    return app.add_option_function<std::string>(flags, take, help)->type_name("WORD");
}

// "30s", "24h".
inline CLI::Option* add_duration(CLI::App& app, const char* flag, std::chrono::seconds& out,
                                 const char* help) {
    const auto take = [flag, &out](const std::string& text) {
        auto duration = parse_duration(text);
        if (!duration) throw CLI::ValidationError(flag, duration.error().message);
        out = *duration;
    };
    return app.add_option_function<std::string>(flag, take, help)->type_name("TIME");
}

}  // namespace cvlan::cli
