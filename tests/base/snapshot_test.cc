// SPDX-License-Identifier: Apache-2.0
#include "base/snapshot.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace cvlan {
namespace {

TEST(SnapshotTest, WhoHoldsAValueKeepsItWhenItIsReplaced) {
    Snapshot<std::string> value("old");
    const auto held = value.get();
    value.set("new");
    EXPECT_EQ(*held, "old");
    EXPECT_EQ(value->size(), 3u);
    EXPECT_EQ(*value.get(), "new");
}

TEST(SnapshotTest, IsReadWholeWhileItIsReplaced) {
    Snapshot<std::string> value(std::string(100, 'a'));
    std::thread writer([&] {
        for (int i = 0; i < 1000; ++i) value.set(std::string(100, static_cast<char>('a' + i % 26)));
    });
    for (int i = 0; i < 1000; ++i) {
        const auto seen = value.get();
        EXPECT_EQ(*seen, std::string(100, seen->front()));
    }
    writer.join();
}

}  // namespace
}  // namespace cvlan
