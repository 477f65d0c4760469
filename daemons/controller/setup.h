// SPDX-License-Identifier: Apache-2.0
#pragma once

// What `cvlan-controller setup` makes in the state folder, once: CA (pki/), keys (keys/,
// controller.key), database (controller.db) and controller.name with the server's name.

#include <memory>
#include <string>

#include "base/clock.h"
#include "daemons/controller/config.h"
#include "pki/keys.h"

namespace cvlan::controller {

struct Installation {
    std::string server_name;  // a host name or an address
    pki::SigningKey key;      // signs what belongs to no tenant
};

// Tells whether it made anything: a second run changes nothing. What is lost of an installation is
// never made anew in its place: Code::NotFound names it.
Result<bool> set_up(const ControllerConfig& config, const std::string& server_name,
                    const Clock& clock);
// NotFound where setup has not run.
Result<Installation> load_installation(const ControllerConfig& config);

std::string pki_folder(const ControllerConfig& config);
std::string keys_folder(const ControllerConfig& config);
std::string database_path(const ControllerConfig& config);  // of SQLite's

Result<std::unique_ptr<store::Store>> open_store(const ControllerConfig& config, const Clock& clock,
                                                 store::Create create, store::Post post = {});

}  // namespace cvlan::controller
