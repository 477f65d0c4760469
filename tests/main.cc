// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/openssl_provider.h"

// Tests see the OpenSSL that the programs see.
int main(int argc, char** argv) {
    cvlan::offer_only_used_keys();
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
