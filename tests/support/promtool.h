// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.h"

namespace cvlan::test {

// What Prometheus' own tool finds wrong with `metrics`; empty where it finds nothing.
inline std::string promtool(const std::string& metrics) {
    const TempDir folder;
    const std::string path = folder.file("metrics");
    std::ofstream(path) << metrics;
    FILE* told = popen(("promtool check metrics < " + path + " 2>&1").c_str(), "r");
    std::string said;
    for (int c = fgetc(told); c != EOF; c = fgetc(told)) said += static_cast<char>(c);
    const int status = pclose(told);
    return status == 0 && said.empty() ? "" : std::to_string(status) + ": " + said;
}

}  // namespace cvlan::test
