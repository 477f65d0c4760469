// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdio.h>

#include <string>

namespace cvlan::tests {

// What a shell command printed, run in the namespace of the calling thread.
inline std::string output_of(const std::string& command) {
    std::string output;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return output;
    char chunk[4096];
    for (size_t size; (size = fread(chunk, 1, sizeof chunk, pipe)) > 0;) output.append(chunk, size);
    EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
    return output;
}

}  // namespace cvlan::tests
