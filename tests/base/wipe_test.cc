// SPDX-License-Identifier: Apache-2.0
// Keys pass through state files: what carried them is wiped.

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "tests/support/freed_memory.h"
#include "tests/support/temp_dir.h"

namespace cvlan {
namespace {

const std::string kKey = "the-private-key-of-this-node-0123456789";

TEST(StateFile, LeavesNoCopyOfAKeyInFreedMemory) {
    const test::TempDir folder;
    const std::string path = folder.file("state");
    // Larger than one block, so that buffers have to grow.
    std::string content;
    content.reserve(200100);  // this test's own copies would be found too
    while (content.size() < 200000) content += kKey + "\n";
    StateFile newest, previous;
    int leaks = 0;
    {
        const test::FreedMemory freed(kKey);
        ASSERT_TRUE(save_state(path, 1, content));
        ASSERT_TRUE(save_state(path, 1, content));
        newest = *load_secret_state(path, 1);
        std::ofstream(path, std::ios::trunc) << "damaged";
        previous = *load_secret_state(path, 1);
        leaks = freed.leaks();
    }
    EXPECT_EQ(newest.content, content);
    EXPECT_EQ(previous.content, content);
    EXPECT_EQ(leaks, 0);
}

}  // namespace
}  // namespace cvlan
