// SPDX-License-Identifier: Apache-2.0
#pragma once

// The commands of cvlan-controller which work on its database as a whole. Root works as the owner
// of the state folder, so that no file of root's is left there. Each prints to the standard streams
// and returns the exit code.

#include <string>

#include "daemons/controller/config.h"

namespace cvlan::controller {

int backup(const ControllerConfig& config, const std::string& file);
int restore(const ControllerConfig& config, const std::string& file);
int new_epoch(const ControllerConfig& config);
int check_db(const ControllerConfig& config);
int migrate(const ControllerConfig& config, bool only_try);

}  // namespace cvlan::controller
