// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/openssl_provider.h"
#include "tests/support/sources.h"

std::string cvlan::test::source_file(const std::string& path) {
    return std::string(CVLAN_SOURCE_DIR) + "/" + path;
}

// Tests see the OpenSSL that the programs see.
int main(int argc, char** argv) {
#ifdef CVLAN_COUNTS
    // Inherited by the programs that tests start.
    setenv("GCOV_PREFIX", CVLAN_COUNTS, 0);
#endif
    cvlan::offer_only_used_keys();
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
