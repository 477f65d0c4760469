// SPDX-License-Identifier: Apache-2.0
// The file: who may open it, what a crash leaves, what is in it.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <set>

#include "base/file.h"
#include "store/engine.h"
#include "store/migrate.h"
#include "store/sqlite.h"
#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

struct SqliteTest : StoreTest {};

// For tests that look past the store.
std::unique_ptr<Database> raw(const std::string& path) {
    return std::move(*SqliteDatabase::open(path));
}

TEST_F(SqliteTest, RefusesASecondProcess) {
    EXPECT_FAILS(open_sqlite(place_.path(), clock_, Create::Yes), Code::Unavailable,
                 "in use by another process");
    store_.reset();
    EXPECT_TRUE(open_sqlite(place_.path(), clock_, Create::Yes));
}

// It was lost, or its volume is not mounted: nothing is made in its place.
TEST_F(SqliteTest, IsNotMadeAnewWhereItMustBeThere) {
    const std::string path = place_.file("absent.db");
    EXPECT_FAILS(open_sqlite(path, clock_, Create::No), Code::NotFound, "is missing: restore it");
    EXPECT_EQ(::access(path.c_str(), F_OK), -1);
    ASSERT_TRUE(write_durable(path, "", 0600));
    EXPECT_FAILS(open_sqlite(path, clock_, Create::No), Code::NotFound, "is missing: restore it");
    EXPECT_EQ(read_file(path, 1)->size(), 0u);
    store_.reset();
    EXPECT_TRUE(open_sqlite(place_.path(), clock_, Create::No));
}

TEST_F(SqliteTest, AListThatCanNotBeReadIsNotAnEmptyOne) {
    const model::Network office = network(tenant("acme"), "office", "10.100.0.0/24");
    Filter filter;
    filter.network_id = office.id;
    EXPECT_TRUE(store_->nodes(filter)->items.empty());
    ASSERT_TRUE(raw(place_.path())->run_script("ALTER TABLE networks RENAME TO lost"));
    EXPECT_FAILS(store_->nodes(filter), Code::Internal, "no such table");
}

TEST_F(SqliteTest, IsReadableByItsOwnerAlone) {
    tenant("acme");
    for (const char* name : {"cvlan.db", "cvlan.db-wal", "cvlan.db-shm", "cvlan.db.lock"}) {
        struct stat status {};
        ASSERT_EQ(::stat(place_.file(name).c_str(), &status), 0) << name;
        EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
    }
}

TEST_F(SqliteTest, RefusesASchemaOfANewerProgram) {
    store_.reset();
    {
        const auto db = raw(place_.path());
        ASSERT_TRUE(db->sql("UPDATE schema_version SET version = 999").run());
    }
    EXPECT_FAILS(open_sqlite(place_.path(), clock_, Create::Yes), Code::Unsupported, "schema 999");
}

TEST_F(SqliteTest, RefusesADatabaseOfAnotherProgram) {
    const std::string path = place_.file("foreign.db");
    {
        const auto db = raw(path);
        ASSERT_TRUE(db->run_script("CREATE TABLE theirs (x)"));
    }
    EXPECT_FAILS(open_sqlite(path, clock_, Create::Yes), Code::Malformed, "no database of cvlan");
    ASSERT_TRUE(write_durable(place_.file("text.db"), std::string(5000, 'x'), 0600));
    EXPECT_FAILS(open_sqlite(place_.file("text.db"), clock_, Create::Yes), Code::Malformed,
                 "not a database");
    EXPECT_FAILS(open_sqlite(place_.file("absent/cvlan.db"), clock_, Create::Yes), Code::NotFound,
                 "absent");
}

TEST_F(SqliteTest, AppliesMigrationsOnce) {
    const auto db = raw(place_.path());
    EXPECT_TRUE(migrate(*db, clock_.now() + std::chrono::hours(1)));
    Statement row = db->sql("SELECT epoch FROM meta");
    ASSERT_TRUE(row.next());
    EXPECT_EQ(row.integer(0), store_->epoch());
}

// Another program that holds the write lock: the store waits, then says so. (Without the wait
// here.)
TEST_F(SqliteTest, SaysThatTheDatabaseIsLocked) {
    const auto one = raw(place_.path());
    const auto two = raw(place_.path());
    ASSERT_TRUE(two->run_script("PRAGMA busy_timeout = 0"));
    auto held = Transaction::begin(*one);
    ASSERT_TRUE(held);
    EXPECT_FAILS(Transaction::begin(*two), Code::Unavailable, "locked");
    // The store's own patience ends before a client's does.
    Statement patience = one->sql("PRAGMA busy_timeout");
    ASSERT_TRUE(patience.next());
    EXPECT_EQ(patience.integer(0), 5000);
}

// F46: told to whoever writes, and over when the other is.
TEST_F(SqliteTest, WritesAgainWhenTheOtherHasLetGo) {
    const auto connect = [this](Access access) -> Result<std::unique_ptr<Database>> {
        auto db = SqliteDatabase::open(place_.path(), access);
        EXPECT_TRUE(db && (*db)->run_script("PRAGMA busy_timeout = 10"));
        return db;
    };
    Engine engine({connect, nullptr, {}, 1}, clock_);
    const auto write = [&] {
        return engine.write(
            [] { return Engine::work().db.sql("UPDATE meta SET epoch = 2").run(); });
    };
    const auto other = raw(place_.path());
    ASSERT_TRUE(other->begin(Access::Write));
    EXPECT_FAILS(write(), Code::Unavailable, "locked");
    EXPECT_TRUE(engine.read([]() -> Result<void> { return {}; }));
    other->rollback();
    EXPECT_TRUE(write());
}

TEST_F(SqliteTest, RollsBackWhatIsNotCommitted) {
    const auto db = raw(place_.path());
    {
        auto transaction = Transaction::begin(*db);
        ASSERT_TRUE(db->sql("UPDATE meta SET epoch = 1").run());
    }
    Statement row = db->sql("SELECT epoch FROM meta");
    ASSERT_TRUE(row.next());
    EXPECT_EQ(row.integer(0), store_->epoch());
}

TEST_F(SqliteTest, KeepsTheFirstFailureOfAStatement) {
    const auto db = raw(place_.path());
    Statement bad = db->sql("SELECT nonsense FROM meta WHERE id = ?", 1);
    EXPECT_FALSE(bad.next());
    ASSERT_TRUE(bad.error());
    EXPECT_NE(bad.error()->message.find("nonsense"), std::string::npos);
    EXPECT_FALSE(db->sql("SELECT 1", 2).run());
    EXPECT_FAILS(db->sql("INSERT INTO meta (id, epoch) VALUES (1, 2)").run(), Code::Exists,
                 "UNIQUE");
    EXPECT_FAILS(db->sql("INSERT INTO signing_keys VALUES ('x', '', 0, '', 0)").run(),
                 Code::Conflict, "FOREIGN");
    // The same statement inside its own loop.
    Statement outer = db->sql("SELECT version FROM schema_version");
    ASSERT_TRUE(outer.next());
    Statement inner = db->sql("SELECT version FROM schema_version");
    ASSERT_TRUE(inner.next());
    EXPECT_EQ(inner.integer(0), outer.integer(0));
}

// T17, I11: a copy of the files is worth nothing.
TEST_F(SqliteTest, HoldsNoTokenThatCouldBeUsed) {
    const model::TokenClaims claims = token(network(tenant("acme"), "office", "10.0.0.0/24"));
    store_.reset();
    const std::string content = *read_file(place_.path(), 100'000'000);
    EXPECT_NE(content.find(model::nonce_hash(claims)), std::string::npos);
    for (const std::string& form : {base64url(claims.nonce), base64(claims.nonce),
                                    hex(claims.nonce), std::string(as_text(claims.nonce))})
        EXPECT_EQ(content.find(form), std::string::npos);
}

// A writer that reports each enrolment after it was answered is killed at any moment: what it
// reported is there, and nothing by halves.
TEST_F(SqliteTest, KeepsWhatWasAnsweredThroughAKill) {
    const std::string acme = tenant("acme");
    const model::TokenClaims claims = token(network(acme, "office", "10.0.0.0/16"), 100000);
    store_.reset();
    for (const int after : {1, 7, 40}) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            open();
            while (true) {
                const auto done = enrol(enrolment(claims));
                if (!done) ::_exit(1);
                if (::write(ends[1], done->node.id.data(), 36) != 36) ::_exit(1);
            }
        }
        ::close(ends[1]);
        std::set<std::string> answered;
        char id[36];
        while (answered.size() < static_cast<size_t>(after) && ::read(ends[0], id, 36) == 36)
            answered.insert(std::string(id, 36));
        ::kill(child, SIGKILL);
        while (::read(ends[0], id, 36) == 36) answered.insert(std::string(id, 36));
        ::close(ends[0]);
        ::waitpid(child, nullptr, 0);
        ASSERT_GE(answered.size(), static_cast<size_t>(after));

        open();
        for (const std::string& node : answered) EXPECT_TRUE(store_->node(acme, node)) << node;
        const auto inputs = store_->map_inputs(acme);
        const model::Network office = inputs->networks.front();
        EXPECT_EQ(static_cast<size_t>(office.node_count), inputs->members.size());
        EXPECT_EQ(store_->token(acme, claims.id)->uses_left, 100000 - office.node_count);
        EXPECT_EQ(store_->events_since(acme, 0, 100000)->back().revision, inputs->revision);
        store_.reset();
    }
}

}  // namespace
}  // namespace cvlan::store
