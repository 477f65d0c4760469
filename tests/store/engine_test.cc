// SPDX-License-Identifier: Apache-2.0
// Those who write together: one commit, and each with an answer of its own.
#include <future>
#include <set>

#include "store/engine.h"
#include "store/feed.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

class EngineTest : public testing::Test {
protected:
    EngineTest() {
        const auto connect = [this](Access) -> Result<std::unique_ptr<Database>> {
            return place_.database();
        };
        engine_ =
            std::make_unique<Engine>(Engine::Parts{connect, place_.database(), {}, 1}, clock_);
        EXPECT_TRUE(place_.database()->run_script(
            "CREATE TABLE marks (mark TEXT NOT NULL PRIMARY KEY, step BIGINT NOT NULL)"));
    }

    static Result<void> mark(const std::string& mark, int step = 1) {
        return Engine::work()
            .db.sql("INSERT INTO marks (mark, step) VALUES (?, ?)", mark, step)
            .run();
    }
    std::set<std::string> marks() {
        return *engine_->read([]() -> Result<std::set<std::string>> {
            std::set<std::string> found;
            Statement rows = Engine::work().db.sql("SELECT mark FROM marks");
            while (rows.next()) found.insert(rows.text(0));
            return found;
        });
    }
    // Runs these while a transaction is open, so that they wait for the next one together.
    std::vector<Result<void>> together(const std::vector<std::function<Result<void>()>>& bodies) {
        std::vector<std::future<Result<void>>> running;
        const auto first = engine_->write([&]() -> Result<void> {
            for (const auto& body : bodies)
                running.push_back(
                    std::async(std::launch::async, [&] { return engine_->write(body); }));
            while (engine_->waiting() < bodies.size()) std::this_thread::yield();
            return {};
        });
        EXPECT_TRUE(first);
        std::vector<Result<void>> outcomes;
        for (auto& each : running) outcomes.push_back(each.get());
        return outcomes;
    }

    test::TestStore place_;
    ManualClock clock_{from_unix_ms(1'700'000'000'000)};
    std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, OneCommitServesAllWhoWait) {
    const uint64_t commits = engine_->commits();
    std::vector<std::function<Result<void>()>> bodies;
    for (int i = 0; i < 20; ++i) bodies.push_back([i] { return mark(std::to_string(i)); });
    for (const auto& outcome : together(bodies)) EXPECT_TRUE(outcome);
    EXPECT_EQ(marks().size(), 20u);
    EXPECT_EQ(engine_->commits(), commits + 1);
}

TEST_F(EngineTest, AFailureUndoesItsOwnPartAlone) {
    const auto outcomes = together({
        [] { return mark("before"); },
        []() -> Result<void> {
            if (auto marked = mark("of one who gives up"); !marked) return marked;
            return fail(Code::Conflict, "no");
        },
        []() -> Result<void> {
            if (auto marked = mark("of one who fails"); !marked) return marked;
            return mark("of one who fails");  // twice the same key
        },
        [] { return mark("after"); },
    });
    int successes = 0;
    std::multiset<Code> codes;
    for (const auto& outcome : outcomes) {
        successes += outcome ? 1 : 0;
        if (!outcome) codes.insert(outcome.error().code);
    }
    EXPECT_EQ(successes, 2);
    EXPECT_EQ(codes, (std::multiset<Code>{Code::Exists, Code::Conflict}));
    EXPECT_EQ(marks(), (std::set<std::string>{"before", "after"}));
}

TEST_F(EngineTest, ABodyThatFailsAloneLeavesNothing) {
    EXPECT_FAILS(engine_->write([]() -> Result<void> {
        if (auto marked = mark("a"); !marked) return marked;
        return fail(Code::Gone, "no");
    }),
                 Code::Gone, "no");
    EXPECT_TRUE(marks().empty());
    EXPECT_TRUE(engine_->write([] { return mark("a"); }));
    EXPECT_FAILS(engine_->write([] { return mark("a"); }), Code::Exists, "");
}

TEST_F(EngineTest, OneWhoReadsSeesOneStateAndChangesNothing) {
    ASSERT_TRUE(engine_->write([] { return mark("a"); }));
    const auto count = [] {
        Statement row = Engine::work().db.sql("SELECT count(*) FROM marks");
        return row.next() ? row.integer(0) : -1;
    };
    const auto read = engine_->read([&]() -> Result<int64_t> {
        const int64_t before = count();
        EXPECT_TRUE(std::async(std::launch::async, [&] {
                        return engine_->write([] { return mark("b"); });
                    }).get());
        EXPECT_EQ(count(), before);
        return before;
    });
    EXPECT_EQ(*read, 1);
    EXPECT_EQ(marks().size(), 2u);
}

// Twenty writers, each with its own row: every one of them is there, and was told so.
TEST_F(EngineTest, NoAcknowledgedWriteIsLost) {
    std::vector<std::thread> threads;
    std::atomic<int> acknowledged = 0;
    for (int i = 0; i < 20; ++i)
        threads.emplace_back([&, i] {
            for (int j = 0; j < 10; ++j)
                if (engine_->write([&] { return mark(fmt::format("{} {}", i, j)); }))
                    ++acknowledged;
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(acknowledged, 200);
    EXPECT_EQ(marks().size(), 200u);
    EXPECT_LE(engine_->commits(), 200u);
}

}  // namespace
}  // namespace cvlan::store
