// SPDX-License-Identifier: Apache-2.0
// F32: a wall clock that jumps under a controller, and one that is behind as it starts.
#include "daemons/controller/clock_watch.h"

#include <filesystem>

#include "tests/daemons/controller/fixture.h"

namespace cvlan::controller {
namespace {

using namespace std::chrono_literals;
constexpr auto kYear = 24h * 365;

struct ClockTest : ControllerTest {
    ManualClock wall{SystemClock().now()};  // TLS reads the real clock
    AnchoredClock anchored{wall};

    ~ClockTest() override { controller.reset(); }

    Result<void> start_by(const Clock& by) {
        auto started = Controller::start(loop, config, by);
        if (!started) return failed(started.error());
        controller = std::move(*started);
        return {};
    }
    void begin() {
        ASSERT_TRUE(set_up(config, "127.0.0.1", anchored));
        ASSERT_TRUE(start_by(anchored));
        make_token();
    }
    http::Response try_enrol() {
        return ask(tls(),
                   {"POST", "/api/v1/enrol", {}, encode(enrol_request(*pki::TlsKey::generate()))});
    }
    void wait_for_first_jobs() {
        while (admin("GET", "/api/v1/jobs").body.find("finishedAt") == std::string::npos)
            loop.run_once(10ms);
    }
};

TEST_F(ClockTest, AJumpEndsNoTokenAndBringsNoneBack) {
    begin();
    for (const auto jump : {kYear, -kYear}) {
        wall.set_wall(wall.now() + jump);
        EXPECT_EQ(try_enrol().status, 201);
        EXPECT_NE(admin("GET", "/api/v1/tokens").body.find("USABLE"), std::string::npos);
        wall.set_wall(wall.now() - jump);
    }
    wall.advance(24h * 8);
    const auto expired = try_enrol();
    EXPECT_NE(expired.body.find("TOKEN_GONE"), std::string::npos) << expired.body;
    wall.set_wall(wall.now() - kYear);
    const auto again = try_enrol();
    EXPECT_NE(again.body.find("TOKEN_GONE"), std::string::npos) << again.body;
}

TEST_F(ClockTest, AJumpIsToldOnceAndItsEndToo) {
    ClockWatch watch(anchored);
    testing::internal::CaptureStderr();
    watch.look();
    wall.set_wall(wall.now() + kYear);
    watch.look();
    watch.look();
    wall.set_wall(wall.now() - kYear);
    watch.look();
    const std::string log = testing::internal::GetCapturedStderr();
    const size_t said = log.find("event=controller.clock_jumped seconds=31536000");
    ASSERT_NE(said, std::string::npos) << log;
    EXPECT_EQ(log.find("clock_jumped", said + 20), std::string::npos) << log;
    EXPECT_NE(log.find("event=controller.clock_right_again"), std::string::npos) << log;
}

TEST_F(ClockTest, OneThatIsBehindTheDatabaseIsNotStartedWith) {
    begin();
    wait_for_first_jobs();
    controller.reset();
    const ManualClock a_minute_ago(wall.now() - 1min);
    ASSERT_TRUE(start_by(a_minute_ago));
    controller.reset();
    const ManualClock a_year_ago(wall.now() - kYear);
    const auto refused = start_by(a_year_ago);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Conflict);
    EXPECT_NE(refused.error().message.find("put the clock right"), std::string::npos)
        << refused.error().message;
    config.trusts_clock = true;
    EXPECT_TRUE(start_by(a_year_ago));
    controller.reset();
}

// The intermediate is replaced under a poll that is held.
TEST_F(ClockTest, WhoIsHeldNoticesNothingOfAFreshIntermediate) {
    const auto end_of = [&] {
        return pki::Authority::open(pki_folder(config))->intermediate_not_after();
    };
    ASSERT_TRUE(set_up(config, "127.0.0.1", wall));
    const auto life = end_of() - wall.now();
    std::filesystem::remove_all(config.state_dir);
    // It has a minute until the reserve of 60 days is reached.
    const ManualClock then(wall.now() + 24h * 60 + 1min - life);
    ASSERT_TRUE(set_up(config, "127.0.0.1", then));
    ASSERT_TRUE(start_by(anchored));
    make_token();
    const auto first = end_of();
    const TestNode node = enrol();
    const auto map = map_of(ask(as(node), {"GET", "/api/v1/node/map"}));
    std::optional<http::Response> held;
    const auto client = *http::Client::open(loop, as(node));
    client->request({"GET", held_since(map)},
                    [&](auto got) { held = got.value_or(http::Response{}); });
    for (int turn = 0; turn < 40; ++turn) loop.run_once(5ms);

    controller->renew_certificates();
    EXPECT_EQ(end_of(), first) << "it is not time";
    wall.advance(2min);
    controller->renew_certificates();
    EXPECT_GT(end_of(), first + 24h * 300);
    // The new chain is served, and the former one's certificates stay good.
    EXPECT_EQ(ask(as(node), {"GET", "/health"}).status, 200);
    EXPECT_FALSE(held);
    const TestNode fresh = enrol();
    EXPECT_NE(fresh.enrolment.certificate, node.enrolment.certificate);
    EXPECT_EQ(ask(as(fresh), {"GET", "/api/v1/node/map"}).status, 200);
    for (int turn = 0; turn < 400 && !held; ++turn) loop.run_once(5ms);
    ASSERT_TRUE(held);
    EXPECT_EQ(map_of(*held).kind, wire::MapKind::Delta);
    EXPECT_EQ(ask(as(node), {"GET", "/api/v1/node/map"}).status, 200);
}

}  // namespace
}  // namespace cvlan::controller
