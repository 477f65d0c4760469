// SPDX-License-Identifier: Apache-2.0
#include "ike/keeper.h"

#include <gtest/gtest.h>

#include <future>

namespace cvlan::ike {
namespace {

using namespace std::chrono_literals;

struct KeeperTest : testing::Test {
    SystemClock clock;
    std::unique_ptr<Keeper> keeper = std::make_unique<Keeper>(Keeper::Parts{
        .clock = clock,
        .open_states = []() -> Result<xfrm::Client> { return fail(Code::Denied, "no xfrm here"); },
        .every = 1h});

    std::future<Result<uint32_t>> ask(Ask::What what) {
        auto answer = std::make_shared<std::promise<Result<uint32_t>>>();
        auto future = answer->get_future();
        keeper->ask(
            {what, "cvlan-n7", [answer](const Result<uint32_t>& sas) { answer->set_value(sas); }});
        return future;
    }
};

TEST_F(KeeperTest, WhoAsksIsToldWhyThereIsNoCharon) {
    keeper->set(std::make_shared<Wanted>());
    for (const auto what : {Ask::What::Look, Ask::What::Rekey, Ask::What::Terminate}) {
        const auto answer = ask(what).get();
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, Code::Unavailable);
        EXPECT_EQ(answer.error().message, "charon: no xfrm here");
    }
    EXPECT_EQ(keeper->status()->trouble, "no xfrm here");
}

// Nothing is wanted yet, so there is no round that could have it.
TEST_F(KeeperTest, WhoAsksIsAnsweredThoughTheAgentEnds) {
    auto answer = ask(Ask::What::Look);
    keeper.reset();
    ASSERT_EQ(answer.wait_for(0s), std::future_status::ready);
    EXPECT_EQ(answer.get().error().message, "charon: the agent ends");
}

}  // namespace
}  // namespace cvlan::ike
