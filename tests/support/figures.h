// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "tests/support/sources.h"

namespace cvlan::test {

// The figures that begin with `prefix` and that the dashboard or the alerts ask for, but for those
// that `metrics` has. A test that wants none has to see that some are asked for: `*count`.
inline std::set<std::string> missing_figures(const std::string& prefix, const std::string& metrics,
                                             size_t* count) {
    std::set<std::string> asked, missing;
    const std::regex figure("\\b" + prefix + "[a-z_]+");
    for (const char* file : {"docs/monitoring/alerts.yaml", "docs/monitoring/dashboard.json"}) {
        std::ifstream opened(source_file(file));
        const std::string text((std::istreambuf_iterator<char>(opened)), {});
        for (std::sregex_iterator at(text.begin(), text.end(), figure), end; at != end; ++at)
            asked.insert(at->str());
    }
    *count = asked.size();
    for (const std::string& name : asked)
        if (metrics.find("# TYPE " + name + " ") == std::string::npos) missing.insert(name);
    return missing;
}

}  // namespace cvlan::test
