// SPDX-License-Identifier: Apache-2.0
// PostgreSQL: what the server itself says of us, connections that are lost, several controllers.
#include <condition_variable>
#include <fstream>
#include <future>
#include <map>
#include <set>

#include "base/file.h"
#include "store/engine.h"
#include "store/feed.h"
#include "store/sql_store.h"
#include "store/translate.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

class PostgresTest : public testing::Test {
protected:
    static test::PostgresServer& server() { return test::PostgresServer::instance(); }

    std::unique_ptr<Store> open() {
        auto store = open_postgres({url_, {}}, clock_, Create::Yes);
        EXPECT_TRUE(store) << store.error().message;
        return std::move(*store);
    }
    std::unique_ptr<PostgresDatabase> database() const {
        return std::move(*PostgresDatabase::open({url_, {}}));
    }
    std::string tenant(Store& store, const std::string& name) {
        auto made = store.create_tenant({new_uuid(unix_ms(clock_.now())), name, {}});
        EXPECT_TRUE(made) << made.error().message;
        return made->id;
    }
    // A number that the server tells.
    static int64_t ask(Database& db, const std::string& query) {
        Statement row = db.sql(query);
        EXPECT_TRUE(row.next()) << query;
        return row.integer(0);
    }

    ManualClock clock_{from_unix_ms(1'700'000'000'000)};
    std::string name_ = server().new_database();
    std::string url_ = server().database_url(name_);
};

// What one store was told, for a test that waits for it.
class Heard {
public:
    explicit Heard(Store& store) {
        store.on_event([this](const Event& event) {
            const std::lock_guard lock(mutex_);
            events_.push_back(event);
            changed_.notify_all();
        });
    }
    bool has(const std::string& tenant_id, Revision revision) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
            return std::any_of(events_.begin(), events_.end(), [&](const Event& event) {
                return event.tenant_id == tenant_id && event.revision == revision;
            });
        });
    }
    std::vector<Revision> revisions(const std::string& tenant_id) {
        const std::lock_guard lock(mutex_);
        std::vector<Revision> found;
        for (const Event& event : events_)
            if (event.tenant_id == tenant_id) found.push_back(event.revision);
        return found;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Event> events_;
};

TEST(Translate, PlaceholdersAreNumbered) {
    EXPECT_EQ(postgres_placeholders("a = ? AND b = ?"), "a = $1 AND b = $2");
    EXPECT_EQ(postgres_placeholders("?2 ?1 ? '?'"), "$2 $1 $3 '?'");
}

TEST(Translate, TypesAreThoseOfPostgres) {
    EXPECT_EQ(postgres_schema("-- TEXT\nCREATE TABLE t (a TEXT, b INTEGER, c BLOB, TEXTUAL TEXT) "
                              "STRICT, WITHOUT ROWID;"),
              "\nCREATE TABLE t (a TEXT COLLATE \"C\", b BIGINT, c BYTEA, TEXTUAL TEXT COLLATE "
              "\"C\");");
}

// The server waits for a lock in the first statement, and has the others in hand already.
TEST_F(PostgresTest, PipelinesWhatNeedsNoAnswer) {
    const auto holder = database();
    const auto writer = database();
    const auto watcher = database();
    ASSERT_TRUE(holder->run_script("CREATE TABLE marks (mark BIGINT)"));
    ASSERT_TRUE(holder->begin(Access::Write));
    EXPECT_EQ(ask(*holder, "SELECT count(*) FROM marks"), 0);

    const uint64_t trips = writer->round_trips();
    ASSERT_TRUE(writer->begin(Access::Write));
    for (int i = 0; i < 10; ++i)
        ASSERT_TRUE(writer->sql("INSERT INTO marks (mark) VALUES (?)", i).run());
    EXPECT_EQ(writer->round_trips(), trips);
    auto committed = std::async(std::launch::async, [&] { return writer->commit(); });
    const std::string waits = fmt::format(
        "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid WHERE a.pid = {} "
        "AND a.wait_event = 'advisory' AND l.locktype = 'advisory' AND NOT l.granted",
        writer->server_pid());
    while (ask(*watcher, waits) == 0) std::this_thread::yield();
    EXPECT_TRUE(holder->commit());
    EXPECT_TRUE(committed.get());
    EXPECT_EQ(writer->round_trips(), trips + 1);
    EXPECT_EQ(ask(*watcher, "SELECT count(*) FROM marks"), 10);
}

// The first plans are made of empty tables, where one index seems as good as any other.
TEST_F(PostgresTest, AnEnrolmentReadsNoMoreAmongManyNodes) {
    constexpr int64_t kNodes = 1'000;
    {
        const auto store = open();
        const std::string tenant_id = tenant(*store, "acme");
        const auto network = store->create_network(
            {tenant_id, "office", *Prefix::parse("10.0.0.0/16"), {}, false, 1420});
        ASSERT_TRUE(network) << network.error().message;
        model::TokenClaims claims;
        claims.id = new_uuid(unix_ms(clock_.now()));
        claims.tenant_id = tenant_id;
        claims.network_id = network->id;
        claims.expires_at = clock_.now() + std::chrono::hours(1);
        claims.uses = kNodes;
        claims.nonce = random_bytes(32);
        ASSERT_TRUE(store->create_token(claims, {}));
        for (int64_t i = 0; i < kNodes; ++i) {
            Enrolment request;
            request.joining = {claims, base64(random_bytes(32)), 51820, {}};
            request.tls_key_hash = hex(random_bytes(32));
            const auto done = store->enrol(request, [&](const Key&) -> Result<CertificateRow> {
                return CertificateRow{hex(random_bytes(16)), clock_.now() + std::chrono::days(30)};
            });
            ASSERT_TRUE(done) << done.error().message;
        }
    }
    // A connection tells what it read when it ends.
    const auto watcher = database();
    const std::string others = fmt::format(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'",
        name_);
    while (ask(*watcher, others) != 0) std::this_thread::yield();
    EXPECT_LT(ask(*watcher, "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes"),
              kNodes * 100);
}

TEST_F(PostgresTest, WaitsOnceForWhatIsAskedAhead) {
    const auto db = database();
    ASSERT_TRUE(db->begin(Access::Read));
    EXPECT_EQ(ask(*db, "SELECT 1"), 1);
    const uint64_t trips = db->round_trips();
    db->ask_ahead([&] {
        for (const char* query : {"SELECT 2", "SELECT 3", "SELECT 4"})
            EXPECT_FALSE(db->sql(query).next()) << "nothing is known yet";
    });
    EXPECT_EQ(db->round_trips(), trips);
    EXPECT_EQ(ask(*db, "SELECT 4"), 4);
    EXPECT_EQ(ask(*db, "SELECT 2"), 2);
    EXPECT_EQ(ask(*db, "SELECT 3"), 3);
    EXPECT_EQ(db->round_trips(), trips + 1);
    EXPECT_EQ(ask(*db, "SELECT 3"), 3);  // an answer is for one who asks
    EXPECT_EQ(db->round_trips(), trips + 2);
    EXPECT_TRUE(db->commit());
}

TEST_F(PostgresTest, AsksAnewWhatWasAskedBeforeAChange) {
    const auto db = database();
    ASSERT_TRUE(db->run_script("CREATE TABLE marks (mark BIGINT)"));
    const std::string count = "SELECT count(*) FROM marks";
    for (const char* change : {"INSERT INTO marks (mark) VALUES (?)",
                               "INSERT INTO marks (mark) VALUES (?) RETURNING mark"}) {
        ASSERT_TRUE(db->begin(Access::Write));
        const int64_t before = ask(*db, count);
        db->ask_ahead([&] { (void)db->sql(count).next(); });
        if (std::string_view(change).ends_with("mark"))
            EXPECT_TRUE(db->sql(change, 7).next());
        else
            EXPECT_TRUE(db->sql(change, 7).run());
        EXPECT_EQ(ask(*db, count), before + 1);
        EXPECT_TRUE(db->commit());
    }
}

TEST_F(PostgresTest, TellsThePartInWhichWhatWasAskedAheadFailed) {
    const auto db = database();
    ASSERT_TRUE(db->begin(Access::Write));
    ASSERT_TRUE(db->begin_part());
    db->ask_ahead([&] { (void)db->sql("SELECT 1 / 0").next(); });
    EXPECT_FALSE(db->sql("SELECT 1 / 0").next());
    EXPECT_FALSE(db->end_part());
    db->undo_part();
    EXPECT_EQ(ask(*db, "SELECT 5"), 5);
    EXPECT_TRUE(db->commit());
}

TEST_F(PostgresTest, ListensOnAConnectionOfItsOwn) {
    const auto store = open();
    const auto watcher = database();
    EXPECT_GE(ask(*watcher,
                  "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN cvlan_events' AND "
                  "application_name = 'cvlan-controller' AND state = 'idle' AND wait_event = "
                  "'ClientRead'"),
              1);
}

TEST_F(PostgresTest, ADeferredFailureIsToldByTheNextAnswerAndByTheCommit) {
    const auto db = database();
    ASSERT_TRUE(db->run_script("CREATE TABLE marks (mark BIGINT PRIMARY KEY)"));
    ASSERT_TRUE(db->begin(Access::Write));
    EXPECT_TRUE(db->sql("INSERT INTO marks (mark) VALUES (1)").run());
    EXPECT_TRUE(db->sql("INSERT INTO marks (mark) VALUES (?)", 1).run());
    Statement after = db->sql("SELECT 1");
    EXPECT_FALSE(after.next());
    EXPECT_EQ(after.error()->code, Code::Exists);
    EXPECT_FAILS(db->commit(), Code::Exists, "duplicate key");
    db->rollback();
    EXPECT_EQ(ask(*db, "SELECT count(*) FROM marks"), 0);
    // What the server had no part in preparing is prepared again.
    ASSERT_TRUE(db->sql("INSERT INTO marks (mark) VALUES (?)", 1).run());
    EXPECT_EQ(ask(*db, "SELECT count(*) FROM marks"), 1);
}

TEST_F(PostgresTest, TwoStoresHearOfEachOthersChangesInOneOrder) {
    const auto one = open();
    const auto two = open();
    Heard at_one(*one);
    Heard at_two(*two);
    const std::string acme = tenant(*one, "acme");
    ASSERT_TRUE(at_two.has(acme, 1));
    std::vector<std::thread> threads;
    for (Store* store : {one.get(), two.get()})
        threads.emplace_back([&, store] {
            for (int i = 0; i < 20; ++i)
                EXPECT_TRUE(store->update_tenant(
                    acme, {.name = fmt::format("name-{}-{}", store == one.get() ? 1 : 2, i)}));
        });
    for (std::thread& thread : threads) thread.join();
    std::vector<Revision> all;
    for (Revision revision = 1; revision <= 41; ++revision) all.push_back(revision);
    EXPECT_TRUE(at_one.has(acme, 41));
    EXPECT_TRUE(at_two.has(acme, 41));
    EXPECT_EQ(at_one.revisions(acme), all);
    EXPECT_EQ(at_two.revisions(acme), all);
    EXPECT_EQ(one->tenant(acme)->name, two->tenant(acme)->name);
}

TEST_F(PostgresTest, TellsWhereItIsAskedTo) {
    const auto one = open();
    std::mutex mutex;
    std::condition_variable posted;
    std::vector<std::function<void()>> tasks;
    const auto two =
        *open_postgres({url_, {}}, clock_, Create::Yes, [&](std::function<void()> task) {
            const std::lock_guard lock(mutex);
            tasks.push_back(std::move(task));
            posted.notify_all();
        });
    Heard at_two(*two);
    const std::string acme = tenant(*one, "acme");
    std::unique_lock lock(mutex);
    ASSERT_TRUE(posted.wait_for(lock, std::chrono::seconds(20), [&] { return !tasks.empty(); }));
    EXPECT_TRUE(at_two.revisions(acme).empty());
    for (const auto& task : tasks) task();
    EXPECT_EQ(at_two.revisions(acme), std::vector<Revision>{1});
}

TEST_F(PostgresTest, LivesOnWhenEveryConnectionIsCut) {
    const auto one = open();
    const auto two = open();
    Heard at_one(*one);
    const std::string acme = tenant(*one, "acme");
    EXPECT_TRUE(one->tenant(acme));
    const auto db = database();
    ask(*db,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> "
        "pg_backend_pid() AND application_name = 'cvlan-controller'");
    EXPECT_EQ(one->tenant(acme)->name, "acme");
    EXPECT_TRUE(two->update_tenant(acme, {.name = "other"}));
    EXPECT_TRUE(one->update_tenant(acme, {.name = "third"}));
    EXPECT_TRUE(two->update_tenant(acme, {.name = "fourth"}));
    EXPECT_TRUE(at_one.has(acme, 4));
    EXPECT_EQ(at_one.revisions(acme), (std::vector<Revision>{1, 2, 3, 4}));
}

TEST_F(PostgresTest, WhatWasLostAtTheCommitIsNotTriedAgain) {
    const auto store = open();
    const std::string acme = tenant(*store, "acme");
    const auto db = database();
    ASSERT_TRUE(db->run_script(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION wait()"));
    auto renamed = std::async(std::launch::async,
                              [&] { return store->update_tenant(acme, {.name = "other"}); });
    const std::string at_commit =
        "FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep'";
    while (ask(*db, "SELECT count(*) " + at_commit) == 0) std::this_thread::yield();
    ask(*db, "SELECT count(pg_terminate_backend(pid)) " + at_commit);
    EXPECT_FAILS(renamed.get(), Code::Unavailable, "while it committed");
    ASSERT_TRUE(db->run_script("DROP TRIGGER slow ON events"));
    EXPECT_EQ(store->tenant(acme)->revision, 1);
    EXPECT_TRUE(store->update_tenant(acme, {.name = "other"}));
}

TEST_F(PostgresTest, RunsAnewWhatTheServerUndidForOthersSake) {
    Engine engine({[this](Access) -> Result<std::unique_ptr<Database>> { return database(); },
                   database(),
                   {},
                   1},
                  clock_);
    int runs = 0;
    const auto body = [&](int failures) {
        return engine.write([&, failures]() -> Result<void> {
            if (++runs > failures) return {};
            Statement conflict = Engine::work().db.sql(
                "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$");
            (void)conflict.next();
            return failed(*conflict.error());
        });
    };
    EXPECT_TRUE(body(2));
    EXPECT_EQ(runs, 3);
    runs = 0;
    EXPECT_FAILS(body(100), Code::Unavailable, "conflict");
    EXPECT_EQ(runs, 5);
}

TEST_F(PostgresTest, IsUnavailableWhileTheServerIsAndComesBackWithIt) {
    const auto store = open();
    const std::string acme = tenant(*store, "acme");
    server().stop();
    EXPECT_FAILS(store->tenant(acme), Code::Unavailable, "");
    EXPECT_FAILS(store->update_tenant(acme, {.name = "other"}), Code::Unavailable, "");
    server().start();
    EXPECT_EQ(store->tenant(acme)->name, "acme");
    EXPECT_TRUE(store->update_tenant(acme, {.name = "other"}));
}

TEST_F(PostgresTest, StartsTogetherOnAnEmptyDatabase) {
    url_ = server().url(server().new_schema());
    auto other = std::async(std::launch::async, [&] { return open(); });
    const auto one = open();
    const auto two = other.get();
    EXPECT_EQ(one->epoch(), two->epoch());
    EXPECT_EQ(ask(*database(), "SELECT count(*) FROM schema_version"), 1);
}

TEST_F(PostgresTest, RefusesWhatIsNotOurs) {
    url_ = server().url(server().new_schema());
    EXPECT_FAILS(open_postgres({url_, {}}, clock_, Create::No), Code::NotFound, "restore it");
    (void)open();
    ASSERT_TRUE(database()->run_script("UPDATE schema_version SET version = 999"));
    EXPECT_FAILS(open_postgres({url_, {}}, clock_, Create::Yes), Code::Unsupported, "schema 999");
    const std::string foreign = server().url(server().new_schema());
    ASSERT_TRUE(
        (*PostgresDatabase::open({foreign, {}}))->run_script("CREATE TABLE theirs (x INT)"));
    EXPECT_FAILS(open_postgres({foreign, {}}, clock_, Create::Yes), Code::Malformed,
                 "no database of cvlan");
}

TEST_F(PostgresTest, TakesNoPasswordFromItsAddress) {
    EXPECT_FAILS(check_postgres_url("postgres://me:hunter2@db/cvlan"), Code::Invalid, "password");
    EXPECT_FAILS(check_postgres_url("postgres://db/cvlan?password=hunter2"), Code::Invalid,
                 "password");
    EXPECT_FAILS(check_postgres_url("db.example.org"), Code::Invalid, "postgres://");
    EXPECT_TRUE(check_postgres_url("postgres://me@db:5433/cvlan?sslmode=verify-full"));
    const test::TempDir dir;
    ASSERT_TRUE(write_durable(dir.file("password"), "hunter2\n", 0644));
    EXPECT_FAILS(open_postgres({url_, dir.file("password")}, clock_, Create::Yes), Code::Denied,
                 "password");
    EXPECT_FAILS(open_postgres({"postgres:///x?host=" + dir.path(), {}}, clock_, Create::Yes),
                 Code::Unavailable, "No such file");
}

// One writes at a time: no key of the database keeps the two apart. Held up at the row of the
// network, whoever comes first is what counts.
TEST_F(PostgresTest, ANetworkIsNotDeletedWhileAnAddressOfItIsReserved) {
    const auto one = open();
    const auto two = open();
    const std::string acme = tenant(*one, "acme");
    const auto holder = database();
    const auto watcher = database();
    const std::string wait =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
        "wait_event_type = 'Lock'";
    for (int round = 0; round < 4; ++round) {
        const auto network = one->create_network(
            {acme, "office", *Prefix::parse("10.0.0.0/24"), std::nullopt, false, 1420});
        ASSERT_TRUE(network) << network.error().message;
        const Key key{acme, network->id};
        auto addresses = dynamic_cast<SqlStore&>(*two).addresses();
        ASSERT_TRUE(holder->run_script("BEGIN; SELECT 1 FROM networks FOR UPDATE"));
        const auto reserve = [&] { return addresses.reserve(key, Family::V4, "gateway"); };
        const auto remove = [&] { return one->delete_network(key); };
        std::future<Result<Address>> reserved;
        if (round % 2 == 0) reserved = std::async(std::launch::async, reserve);
        while (round % 2 == 0 && ask(*watcher, wait) < 1) std::this_thread::yield();
        auto removed = std::async(std::launch::async, remove);
        if (round % 2 == 1) {
            while (ask(*watcher, wait) < 1) std::this_thread::yield();
            reserved = std::async(std::launch::async, reserve);
        }
        while (ask(*watcher, wait) < 2) std::this_thread::yield();
        ASSERT_TRUE(holder->run_script("COMMIT"));
        const auto address = reserved.get();
        EXPECT_NE(address.has_value(), removed.get().has_value());
        EXPECT_EQ(*one->upkeep().check(), std::vector<std::string>{});
        if (!address) continue;
        ASSERT_TRUE(addresses.give_back(key, *address));
        ASSERT_TRUE(one->delete_network(key));
    }
}

// F29: enrolments at two stores at once.
TEST_F(PostgresTest, GivesNoAddressTwice) {
    const auto one = open();
    const auto two = open();
    const std::string acme = tenant(*one, "acme");
    auto network = one->create_network(
        {acme, "office", *Prefix::parse("10.0.0.0/24"), std::nullopt, false, 1420});
    ASSERT_TRUE(network);
    model::TokenClaims claims;
    claims.id = new_uuid(unix_ms(clock_.now()));
    claims.tenant_id = acme;
    claims.network_id = network->id;
    claims.expires_at = clock_.now() + std::chrono::hours(1);
    claims.uses = 30;
    claims.nonce = random_bytes(32);
    ASSERT_TRUE(two->create_token(claims, {}));
    std::mutex mutex;
    std::multiset<std::string> addresses;
    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    threads.reserve(8);
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&, i] {
            Store& store = i % 2 == 0 ? *one : *two;
            for (int j = 0; j < 5; ++j) {
                Enrolment request;
                request.joining = {claims, base64(random_bytes(32)), 51820, {}};
                request.tls_key_hash = hex(random_bytes(32));
                request.inventory.hostname = "host";
                auto done = store.enrol(request, [&](const Key&) -> Result<CertificateRow> {
                    return CertificateRow{hex(random_bytes(16)), claims.expires_at};
                });
                const std::lock_guard lock(mutex);
                if (done)
                    addresses.insert(done->membership.ipv4->text());
                else if (done.error().reason == model::kTokenSpent)
                    ++refused;
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(addresses.size(), 30u);
    EXPECT_EQ(std::set<std::string>(addresses.begin(), addresses.end()).size(), 30u);
    EXPECT_EQ(refused, 10);
    EXPECT_EQ(one->tenant(acme)->revision, 33);
    const auto verdicts = two->verify_audit({});
    ASSERT_TRUE(verdicts) << verdicts.error().message;
    for (const AuditVerdict& verdict : *verdicts) EXPECT_EQ(verdict.fault, "");
}

}  // namespace
}  // namespace cvlan::store
