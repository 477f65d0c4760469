// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where a login leaves its access token: a file (0600) a context under $XDG_CONFIG_HOME/cvlan, by
// default ~/.config/cvlan, and the name of the current one beside them.

#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace cvlan::cli {

struct Context {
    std::string name;
    std::string server;  // as --server
    std::string ca;      // as --ca
    SecretText token{};
};

// NotFound where there is none of that name, Denied where others may read it.
Result<Context> load_context(const std::string& name);
Result<void> save_context(const Context& context);
Result<void> remove_context(const std::string& name);
Result<std::vector<std::string>> context_names();

std::string current_context();  // empty: none
Result<void> use_context(const std::string& name);

}  // namespace cvlan::cli
