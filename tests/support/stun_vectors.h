// SPDX-License-Identifier: Apache-2.0
#pragma once

// The messages of RFC 5769 and RFC 8489 appendix B, from tests/data/stun.

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "base/bytes.h"
#include "tests/support/sources.h"

namespace cvlan::tests {

inline Bytes stun_vector(const std::string& name) {
    std::ifstream file(test::source_file("tests/data/stun/" + name + ".hex"));
    std::string digits{std::istreambuf_iterator<char>(file), {}};
    std::erase_if(digits, [](char c) { return c == ' ' || c == '\n'; });
    return from_hex(digits).value();
}

inline const std::string kStunVectors[] = {"rfc5769-request", "rfc5769-response-v4",
                                           "rfc5769-response-v6", "rfc5769-long-term",
                                           "rfc8489-long-term"};

}  // namespace cvlan::tests
