// SPDX-License-Identifier: Apache-2.0
#pragma once

// Intermediates that a company's own CA has signed. Each lies in a folder of its own below the
// authority's, `imported-<number>/`: intermediate.key, intermediate.pem (ours, then the company's
// up to its root) and root.pem. The file `current` names the one that is in use; without it that is
// the authority's own. Every root that is here is in the trust bundle: nodes learn a new one with
// their next certificate, before it is in use, and what the former one signed stays good.

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace cvlan::pki {

// A fresh key, and the request for its certificate (PKCS 10, PEM; CA:TRUE, pathlen 0). The key
// never leaves the folder.
Result<std::string> request_intermediate(const std::string& folder);

// `chain` is the answer: the intermediate, what lies between, and the self-signed root, PEM. It is
// not in use yet. Tells the name of its folder. Conflict where no request was made here for its
// key, Denied where what it signs for nodes, and for a controller of this name, would not be
// believed now by who trusts that root.
Result<std::string> import_intermediate(const std::string& folder, std::string_view chain,
                                        const std::string& server_name, WallTime now);

// An empty name is the authority's own. NotFound where nothing was imported by that name. Takes
// effect when the folder is opened anew.
Result<void> use_intermediate(const std::string& folder, const std::string& name);

// Complete ones, oldest first.
std::vector<std::string> imported(const std::string& folder);
Result<std::string> current(const std::string& folder);

}  // namespace cvlan::pki
