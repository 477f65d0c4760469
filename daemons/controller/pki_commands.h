// SPDX-License-Identifier: Apache-2.0
#pragma once

// cvlan-controller pki …: the authority's folder, by hand. A controller that runs takes up what was
// changed when it is restarted.

#include <string>

#include "base/clock.h"
#include "daemons/controller/config.h"

namespace CLI {
class App;
}

namespace cvlan::controller {

class PkiCommands {
public:
    explicit PkiCommands(CLI::App& app);

    bool is_asked() const;
    // The exit code. What is printed for a machine goes to standard output, the rest to standard
    // error.
    int run(const ControllerConfig& config, const Clock& clock);

private:
    Result<void> show(const std::string& folder) const;
    Result<void> request(const std::string& folder) const;
    Result<void> import(const ControllerConfig& config, WallTime now) const;
    Result<void> use(const std::string& folder, WallTime now) const;

    CLI::App* pki_;
    std::string chain_file_;
    std::string name_;
};

}  // namespace cvlan::controller
