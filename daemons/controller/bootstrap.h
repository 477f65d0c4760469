// SPDX-License-Identifier: Apache-2.0
#pragma once

// How the first operator comes into being: by a link, never by a password that somebody else chose.

#include <string>

#include "api/context.h"

namespace cvlan::controller {

// While there is no account, `path` (0600) holds a link that makes the first one, anew at each
// start; afterwards the file is taken away.
Result<void> offer_bootstrap(const api::Context& context, const std::string& path);

}  // namespace cvlan::controller
