// SPDX-License-Identifier: Apache-2.0
#include "base/seal.h"

#include <gtest/gtest.h>

namespace cvlan {
namespace {

TEST(SealTest, IsReadWithItsKeyAlone) {
    const Bytes key(32, 1), other(32, 2);
    for (const std::string text : {"", "a", "a secret that is told once"}) {
        const Bytes sealed = seal(key, as_bytes(text));
        EXPECT_EQ(*unseal(key, sealed), text);
        EXPECT_EQ(unseal(other, sealed).error().code, Code::Denied);
        EXPECT_NE(sealed, seal(key, as_bytes(text)));
    }
}

TEST(SealTest, AnyOtherBytesAreRefused) {
    const Bytes key(32, 1);
    const Bytes sealed = seal(key, as_bytes("text"));
    for (size_t i = 0; i < sealed.size(); ++i) {
        Bytes changed = sealed;
        changed[i] ^= 1;
        EXPECT_FALSE(unseal(key, changed)) << i;
        EXPECT_FALSE(unseal(key, ByteView(sealed).first(i))) << i;
    }
}

}  // namespace
}  // namespace cvlan
