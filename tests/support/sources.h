// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files of this clone, which tests read or run. tests/main.cc knows where it lies.

#include <string>

namespace cvlan::test {

// The full path of a file by its path in the repository: "api/openapi.yaml".
std::string source_file(const std::string& path);

}  // namespace cvlan::test
