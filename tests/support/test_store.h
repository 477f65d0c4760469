// SPDX-License-Identifier: Apache-2.0
#pragma once

// A database of a test's own, of the kind that CVLAN_TEST_STORE names: "sqlite", which it is
// without it, or "postgres". ctest runs the tests of the store with each.

#include <cstdlib>
#include <memory>
#include <string>

#include "store/open.h"
#include "store/sqlite.h"
#include "tests/support/postgres_server.h"
#include "tests/support/temp_dir.h"

namespace cvlan::test {

inline bool is_postgres() {
    const char* kind = std::getenv("CVLAN_TEST_STORE");
    return kind && std::string(kind) == "postgres";
}

class TestStore {
public:
    TestStore() {
        if (is_postgres()) name_ = PostgresServer::instance().new_database();
    }
    TestStore(const TestStore&) = delete;
    TestStore& operator=(const TestStore&) = delete;
    // Whoever has it open has ended before.
    ~TestStore() {
        if (is_postgres()) PostgresServer::instance().drop_database(name_);
    }

    Result<std::unique_ptr<store::Store>> open(const Clock& clock) const {
        if (!is_postgres()) return open_sqlite(path(), clock, store::Create::Yes);
        return open_postgres({url(), {}}, clock, store::Create::Yes);
    }
    // Past the store.
    std::unique_ptr<store::Database> database() const {
        if (!is_postgres()) return std::move(*store::SqliteDatabase::open(path()));
        return std::move(*store::PostgresDatabase::open({url(), {}}));
    }

    std::string path() const { return file("cvlan.db"); }
    std::string file(const std::string& name) const { return dir_.file(name); }
    std::string folder() const { return dir_.path(); }
    std::string url() const { return PostgresServer::instance().database_url(name_); }

private:
    TempDir dir_;
    std::string name_;  // of the server's database
};

}  // namespace cvlan::test
