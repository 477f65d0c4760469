// SPDX-License-Identifier: Apache-2.0
// F45: a server that can only be read is no database for a controller, and one that becomes so
// while a controller runs is waited for. The standby is a real one.
#include <thread>

#include "tests/store/store_fixture.h"

namespace cvlan::store {
namespace {

using namespace std::chrono_literals;

class PostgresStandbyTest : public testing::Test {
protected:
    static test::PostgresServer& server() { return test::PostgresServer::instance(); }

    Result<std::unique_ptr<Store>> open(const std::string& url) {
        return open_postgres({url, {}}, clock_, Create::No);
    }
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
};

TEST_F(PostgresStandbyTest, AControllerDoesNotStartOnAStandbyAndSaysWhy) {
    const test::PostgresServer::Standby standby(server());
    EXPECT_FAILS(open(standby.database_url(name_)), Code::Unavailable, "is a standby");
    EXPECT_TRUE(open(standby.either_url(name_)));
}

TEST_F(PostgresStandbyTest, AControllerDoesNotStartWhereItMayOnlyReadAndSaysWhy) {
    const auto admin = *PostgresDatabase::open({url_, {}});
    ASSERT_TRUE(
        admin->run_script("ALTER DATABASE " + name_ + " SET default_transaction_read_only = on"));
    EXPECT_FAILS(open(url_), Code::Unavailable, "can only be read");
    ASSERT_TRUE(admin->run_script("SET default_transaction_read_only = off; ALTER DATABASE " +
                                  name_ + " RESET default_transaction_read_only"));
    EXPECT_TRUE(open(url_));
}

TEST_F(PostgresStandbyTest, AfterAFailOverTheStandbyIsWrittenAndHasWhatWasThere) {
    test::PostgresServer::Standby standby(server());
    std::string acme;
    {
        const auto opened = open(standby.either_url(name_));
        ASSERT_TRUE(opened) << opened.error().message;
        Store& store = **opened;
        acme = store.create_tenant({new_uuid(0), "acme", {}})->id;
        const auto follower = *PostgresDatabase::open({standby.database_url(name_), {}});
        ASSERT_TRUE(comes([&] {
            Statement row = follower->sql("SELECT 1 FROM tenants WHERE id = ?", acme);
            return row.next();
        }));

        server().stop();
        EXPECT_FAILS(store.update_tenant(acme, {.name = "other"}), Code::Unavailable, "");
        standby.promote();
        EXPECT_TRUE(
            comes([&] { return store.update_tenant(acme, {.name = "other"}).has_value(); }));
        EXPECT_EQ(store.tenant(acme)->name, "other");
    }
    EXPECT_EQ((*open(standby.database_url(name_)))->tenant(acme)->name, "other");
    server().start();
}

}  // namespace
}  // namespace cvlan::store
