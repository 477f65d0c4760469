// SPDX-License-Identifier: Apache-2.0
#include "store/jobs.h"
#include "tests/api/fixture.h"

namespace cvlan::api {
namespace {

namespace wire = model::wire;

TEST_F(ApiTest, AJobIsListedAndRunWhenTheOperatorAsks) {
    ASSERT_TRUE(store->jobs().ensure({"sweep"}));
    const auto lease = *store->jobs().take("sweep", "a");
    const auto running = expect<wire::JobList>(200, ask("GET", "/api/v1/jobs")).jobs.at(0);
    EXPECT_TRUE(running.running);
    EXPECT_EQ(running.holder.value_or(""), "a");
    ASSERT_TRUE(store->jobs().finish(*lease, {true, "done", clock.now() + std::chrono::hours(1)}));
    EXPECT_FALSE(*store->jobs().take("sweep", "a"));
    const auto asked = expect<wire::Job>(202, ask("POST", "/api/v1/jobs/" + running.id + "/run"));
    EXPECT_FALSE(asked.running);
    EXPECT_EQ(asked.result.value_or(""), "done");
    EXPECT_TRUE(*store->jobs().take("sweep", "a"));
}

}  // namespace
}  // namespace cvlan::api
