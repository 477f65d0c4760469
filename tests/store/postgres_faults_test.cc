// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL that does not take writes, takes no connections, or does not answer (F45).
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "store/engine.h"
#include "store/missed.h"
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

// Each answer comes in time, and there is no end of them.
TEST_F(PostgresFaultsTest, ATransactionThatWritesIsNotWaitedForBeyondTwiceThePatience) {
    const auto slow = database(500ms);
    const auto crawl = [&](int statements) -> Result<void> {
        for (int i = 0; i < statements; ++i) {
            Statement row = slow->sql("SELECT 1 FROM pg_sleep(0.2)");
            while (row.next()) {
            }
            if (row.error()) return failed(*row.error());
        }
        return {};
    };
    ASSERT_TRUE(slow->begin(Access::Write));
    EXPECT_FAILS(crawl(20), Code::Unavailable, "no answer in time");
    EXPECT_TRUE(slow->is_broken());
}

TEST_F(PostgresFaultsTest, AWriteIsNotTriedAnewBeyondItsPatience) {
    for (const auto& [patience, tries] : {std::pair{0ms, 1}, std::pair{60'000ms, 5}}) {
        int connected = 0;
        const auto connect = [&](Access) -> Result<std::unique_ptr<Database>> {
            ++connected;
            return database();
        };
        Engine engine({connect, nullptr, {}, 1, patience}, clock_);
        const auto written = engine.write([&] {
            run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND pid <> pg_backend_pid()");
            return number("SELECT 1");
        });
        EXPECT_EQ(written.error().code, Code::Unavailable) << written.error().message;
        EXPECT_EQ(connected, tries);
    }
}

// A server that lets one in and says nothing more: protocol 3.0, as far as ReadyForQuery.
TEST_F(PostgresFaultsTest, AServerThatFallsSilentAfterTheLoginIsNotWaitedFor) {
    const test::TempDir dir;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir.file(".s.PGSQL.5432");
    path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    std::thread mute([&] {
        const UniqueFd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        constexpr std::string_view kWelcome(
            "R\0\0\0\x08\0\0\0\0"
            "S\0\0\0\x18server_version\00015.0\0"
            "Z\0\0\0\x05I",
            9 + 25 + 6);
        EXPECT_EQ(::write(peer.get(), kWelcome.data(), kWelcome.size()),
                  static_cast<ssize_t>(kWelcome.size()));
        char byte = 0;
        while (::read(peer.get(), &byte, 1) == 1) {
        }
    });
    const auto opened =
        PostgresDatabase::open({"postgres:///x?user=u&host=" + dir.path(), {}}, 200ms);
    mute.join();
    EXPECT_FAILS(opened, Code::Unavailable, "no answer in time");
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

// One that was cut off for so long that retention was quicker.
TEST_F(PostgresFaultsTest, WhoWasAwayForTooLongIsToldThatItHasMissedSomething) {
    const auto store = open(url_);
    const std::string acme = store->create_tenant({new_uuid(0), "acme", {}})->id;
    std::mutex mutex;
    std::vector<std::function<void()>> tasks;
    Engine engine({[this](Access) -> Result<std::unique_ptr<Database>> { return database(); },
                   database(),
                   {},
                   1},
                  clock_);
    std::vector<std::pair<EventKind, Revision>> heard;
    engine.on_event([&](const Event& event) {
        EXPECT_EQ(event.tenant_id, acme);
        heard.emplace_back(event.kind, event.revision);
    });
    const auto post = [&](std::function<void()> task) {
        const std::lock_guard lock(mutex);
        tasks.push_back(std::move(task));
    };
    ASSERT_TRUE(engine.share(
        std::move(*PostgresFeed::open({url_, {}}, post, {.quiet = 50ms, .patience = 15s}))));
    for (const char* name : {"two", "three", "four"})
        ASSERT_TRUE(store->update_tenant(acme, {.name = name}));
    run("DELETE FROM events WHERE revision IN (2, 4)");
    using Heard = std::vector<std::pair<EventKind, Revision>>;
    EXPECT_TRUE(comes([&] {
        const std::lock_guard lock(mutex);
        for (const auto& task : std::exchange(tasks, {})) task();
        return heard.size() >= 3;
    }));
    EXPECT_EQ(heard,
              (Heard{{kEventsMissed, 2}, {EventKind::TenantRenamed, 3}, {kEventsMissed, 4}}));
    // Nothing is missed twice.
    ASSERT_TRUE(store->update_tenant(acme, {.name = "five"}));
    EXPECT_TRUE(engine.catch_up_all());
    EXPECT_EQ(heard.back(), (Heard::value_type{EventKind::TenantRenamed, 5}));
    EXPECT_EQ(heard.size(), 4u);
}

}  // namespace
}  // namespace cvlan::store
