// SPDX-License-Identifier: Apache-2.0
// Views of one store: they change the same things and wake the same listeners.
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using ViewsTest = StoreTest;

TEST_F(ViewsTest, ChangeTheSameStore) {
    const std::string acme = tenant("acme");
    const auto view = store_->as({"operator:0", "unix", "request-1"});
    const auto further = view->as({"user:1", "192.0.2.1", "request-2"});
    events_.clear();
    ASSERT_TRUE(view->update_tenant(acme, {.name = "one"}));
    ASSERT_TRUE(further->update_tenant(acme, {.name = "two"}));
    EXPECT_EQ(store_->tenant(acme)->name, "two");
    EXPECT_EQ(events_.size(), 2u);
    EXPECT_EQ(view->epoch(), store_->epoch());
    EXPECT_EQ(further->commits(), store_->commits());
}

}  // namespace
}  // namespace cvlan::store
