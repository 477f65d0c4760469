// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL that does not take writes, takes no connections, or does not answer (F45).
#include <signal.h>

#include <chrono>

#include "store/engine.h"
#include "store/postgres_feed.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using namespace std::chrono_literals;

class PostgresFaultsTest : public testing::Test {
protected:
    static test::PostgresServer& server() { return test::PostgresServer::instance(); }

    std::unique_ptr<PostgresDatabase> database(std::chrono::milliseconds patience = 15s) const {
        return std::move(*PostgresDatabase::open({url_, {}}, patience));
    }
    std::unique_ptr<Store> open(const std::string& url) {
        auto store = open_postgres({url, {}}, clock_, Create::Yes);
        EXPECT_TRUE(store) << store.error().message;
        return std::move(*store);
    }
    void run(const std::string& script) const {
        auto done = admin_->run_script(script);
        EXPECT_TRUE(done) << done.error().message;
    }
    void cut_all() const {
        run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
            "current_database() AND pid <> pg_backend_pid()");
    }
    static Result<int64_t> number(const std::string& query) {
        Statement row = Engine::work().db.sql(query);
        if (row.next()) return row.integer(0);
        return failed(row.error().value_or(Error{Code::NotFound, "no row"}));
    }
    // Whether it holds within a time that any machine has.
    template <class Claim>
    static bool comes(const Claim& holds) {
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (!holds()) {
            if (std::chrono::steady_clock::now() > until) return false;
            std::this_thread::yield();
        }
        return true;
    }

    ManualClock clock_{from_unix_ms(1'700'000'000'000)};
    std::string name_ = server().new_database();
    std::string url_ = server().database_url(name_);
    std::unique_ptr<PostgresDatabase> admin_ = database();
};

// A process of the server's that does nothing while this lives.
class Stopped {
public:
    explicit Stopped(int64_t pid) : pid_(static_cast<pid_t>(pid)) {
        EXPECT_EQ(::kill(pid_, SIGSTOP), 0);
    }
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;
    ~Stopped() { ::kill(pid_, SIGCONT); }

private:
    pid_t pid_;
};

TEST_F(PostgresFaultsTest, AServerThatMayOnlyBeReadIsWrittenAgainWhenItMayBe) {
    const auto store = open(url_);
    const std::string acme = store->create_tenant({new_uuid(0), "acme", {}})->id;
    run("ALTER DATABASE " + name_ + " SET default_transaction_read_only = on");
    cut_all();
    for (int i = 0; i < 2; ++i) {
        EXPECT_FAILS(store->update_tenant(acme, {.name = "other"}), Code::Unavailable, "read-only");
        EXPECT_EQ(store->tenant(acme)->name, "acme");
    }
    run("ALTER DATABASE " + name_ + " RESET default_transaction_read_only");
    const auto renamed = store->update_tenant(acme, {.name = "other"});
    EXPECT_TRUE(renamed) << renamed.error().message;
}

TEST_F(PostgresFaultsTest, AServerThatTakesNoMoreConnectionsIsUnavailable) {
    const std::string role = "few_" + name_;
    run("CREATE ROLE " + role + " LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO " + role);
    std::string url = url_;
    url.replace(url.find("user=cvlan"), 10, "user=" + role);
    {
        const auto store = open(url);
        const std::string acme = store->create_tenant({new_uuid(0), "acme", {}})->id;
        run("ALTER ROLE " + role + " CONNECTION LIMIT 0");
        cut_all();
        EXPECT_FAILS(store->update_tenant(acme, {.name = "other"}), Code::Unavailable, "too many");
        EXPECT_FAILS(store->tenant(acme), Code::Unavailable, "too many");
        EXPECT_FAILS(open_postgres({url, {}}, clock_, Create::No), Code::Unavailable, "too many");
        run("ALTER ROLE " + role + " CONNECTION LIMIT -1");
        EXPECT_TRUE(store->update_tenant(acme, {.name = "other"}));
        EXPECT_EQ(store->tenant(acme)->name, "other");
    }
    run("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

// It holds the lock of those who write, and no other connection gets it meanwhile.
TEST_F(PostgresFaultsTest, ABackendThatDoesNotAnswerIsNotWaitedForBeyondPatience) {
    const auto connect = [this](Access) -> Result<std::unique_ptr<Database>> {
        return database(200ms);
    };
    Engine engine({connect, database(200ms), {}, 1}, clock_);
    std::optional<Stopped> stopped;
    EXPECT_FAILS(engine.write([&]() -> Result<int64_t> {
        if (stopped) return number("SELECT 1");
        auto pid = number("SELECT pg_backend_pid()");
        if (!pid) return pid;
        stopped.emplace(*pid);
        return number("SELECT 1");
    }),
                 Code::Unavailable, "no answer in time");
    EXPECT_TRUE(engine.read([] { return number("SELECT 1"); }));
    stopped.reset();
    EXPECT_TRUE(comes([&] { return engine.write([] { return number("SELECT 1"); }).has_value(); }));
}

// As where the network between has gone: nothing is heard, and nothing tells so.
TEST_F(PostgresFaultsTest, OneWhoListensFindsOutThatTheServerIsSilent) {
    const auto store = open(url_);
    Engine engine({[this](Access) -> Result<std::unique_ptr<Database>> { return database(); },
                   database(),
                   {},
                   1},
                  clock_);
    std::atomic<int> heard = 0;
    engine.on_event([&](const Event&) { ++heard; });
    const PostgresFeed::Times times{.quiet = 50ms, .patience = 300ms};
    auto feed = PostgresFeed::open({url_, {}}, {}, times);
    ASSERT_TRUE(feed) << feed.error().message;
    // The store listens too, since before.
    const int64_t pid = *engine.read([] {
        return number(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
            "query LIKE 'LISTEN%' ORDER BY backend_start DESC LIMIT 1");
    });
    const Stopped stopped(pid);
    ASSERT_TRUE(engine.share(std::move(*feed)));
    ASSERT_TRUE(store->create_tenant({new_uuid(0), "acme", {}}));
    EXPECT_TRUE(comes([&] { return heard > 0; }));
}

// A loop that others' changes are told on meets a failure: it comes back to them by itself.
TEST_F(PostgresFaultsTest, WhatCouldNotBeReadForTheListenersIsReadLater) {
    const auto store = open(url_);
    std::mutex mutex;
    std::vector<std::function<void()>> tasks;
    const auto post = [&](std::function<void()> task) {
        const std::lock_guard lock(mutex);
        tasks.push_back(std::move(task));
    };
    const auto run_posted = [&] {
        std::vector<std::function<void()>> now;
        {
            const std::lock_guard lock(mutex);
            now = std::exchange(tasks, {});
        }
        for (const auto& task : now) task();
        return !now.empty();
    };
    Engine engine({[this](Access) -> Result<std::unique_ptr<Database>> { return database(); },
                   database(),
                   {},
                   1},
                  clock_);
    int heard = 0;
    engine.on_event([&](const Event&) { ++heard; });
    ASSERT_TRUE(engine.share(
        std::move(*PostgresFeed::open({url_, {}}, post, {.quiet = 50ms, .patience = 15s}))));
    const std::string acme = store->create_tenant({new_uuid(0), "acme", {}})->id;
    run("ALTER TABLE events RENAME TO hidden");
    ASSERT_TRUE(comes(run_posted));
    EXPECT_EQ(heard, 0);
    run("ALTER TABLE hidden RENAME TO events");
    EXPECT_TRUE(comes([&] {
        run_posted();
        return heard > 0;
    }));
}

}  // namespace
}  // namespace cvlan::store
