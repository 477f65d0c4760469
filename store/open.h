// SPDX-License-Identifier: Apache-2.0
#pragma once

// From a configuration to a Store.

#include <memory>
#include <string>

#include "store/store.h"

namespace cvlan::store {

// Whether an absent database may be made. A controller that made a new one in the place of one that
// was lost would tell every node that it is deleted.
enum class Create { No, Yes };

// Migrates the file, or creates it (0600). Code::NotFound when it is absent or empty and must not
// be made, Code::Unavailable when another process holds it, Code::Unsupported when a newer program
// wrote it, Code::Malformed when it is no database of ours. `clock` outlives the store.
Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const Clock& clock,
                                           Create create);

}  // namespace cvlan::store
