// SPDX-License-Identifier: Apache-2.0
#pragma once

// A PostgreSQL server of the test program's own: one a program, begun where a test first asks for
// it and ended with it. In memory, on a unix socket alone, as a user that is not root. fsync is
// off: the tests kill processes, not the power.

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "store/open.h"
#include "store/postgres.h"
#include "tests/support/temp_dir.h"

namespace cvlan::test {

class PostgresServer {
public:
    static PostgresServer& instance() {
        static PostgresServer server;
        return server;
    }

    PostgresServer() {
        if (const passwd* user = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr) {
            user_ = *user;
            is_other_user_ = true;
            if (::chown(dir_.path().c_str(), user_.pw_uid, user_.pw_gid) != 0) std::abort();
        }
        if (run({"initdb", "-D", data(), "-A", "trust", "-U", "cvlan", "-E", "UTF8", "--locale=C",
                 "--no-sync", "--no-instructions"}) != 0)
            give_up("initdb");
        start();
    }
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;
    ~PostgresServer() { stop(); }

    void start() { pid_ = begin(data(), kPort); }
    // At once, as if it had crashed.
    void stop() const { end(pid_); }

    // A hot standby of this server, which follows it until it is promoted.
    class Standby {
    public:
        explicit Standby(PostgresServer& primary) : primary_(primary) {
            if (primary.run({"pg_basebackup", "-D", data_, "-R", "-h", primary.dir_.path(), "-U",
                             "cvlan", "-c", "fast", "-X", "stream", "--no-sync"}) != 0)
                primary.give_up("pg_basebackup");
            pid_ = primary.begin(data_, kStandbyPort);
        }
        Standby(const Standby&) = delete;
        Standby& operator=(const Standby&) = delete;
        ~Standby() {
            end(pid_);
            std::filesystem::remove_all(data_);
        }
        void promote() {
            if (primary_.run({"pg_ctl", "promote", "-D", data_, "-w"}) != 0)
                primary_.give_up("pg_ctl promote");
        }
        std::string database_url(const std::string& name) const {
            return primary_.database_url(name) + "&port=" + kStandbyPort;
        }
        // Whichever of the two is written.
        std::string either_url(const std::string& name) const {
            return primary_.database_url(name) + "," + primary_.dir_.path() + "&port=" + kPort +
                   "," + kStandbyPort + "&target_session_attrs=read-write";
        }

    private:
        PostgresServer& primary_;
        const std::string data_ = primary_.file("standby");
        pid_t pid_ = -1;
    };

    // A database as a store has made it, for little: a copy of one that is made once.
    std::string new_database() {
        if (databases_++ == 0) {
            tell("CREATE DATABASE made");
            if (!store::open_postgres({database_url("made"), {}}, ManualClock(kMadeAt),
                                      store::Create::Yes))
                give_up("a store");
        }
        const std::string name = "copy" + std::to_string(databases_);
        tell("CREATE DATABASE " + name + " TEMPLATE made STRATEGY file_copy");
        return name;
    }
    void drop_database(const std::string& name) const {
        tell("DROP DATABASE " + name + " WITH (FORCE)");
    }
    std::string database_url(const std::string& name) const {
        return "postgres:///" + name + "?user=cvlan&host=" + dir_.path();
    }

    // Of a schema in the server's first database, which is empty.
    std::string url(const std::string& schema = "public") const {
        return "postgres:///postgres?user=cvlan&host=" + dir_.path() + "&options=-csearch_path%3D" +
               schema;
    }
    std::string new_schema() {
        const std::string name = "test" + std::to_string(++schemas_);
        tell("CREATE SCHEMA " + name);
        return name;
    }
    // One of PostgreSQL's programs, as the server's user; its exit code.
    int run(std::vector<std::string> words) {
        words.front() = program(words.front());
        int status = 0;
        ::waitpid(spawn(std::move(words)), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::string file(const std::string& name) const { return dir_.file(name); }
    std::string log() const { return dir_.file("log"); }

private:
    static constexpr const char* kPort = "5432";
    static constexpr const char* kStandbyPort = "5433";
    static constexpr WallTime kMadeAt{std::chrono::milliseconds(1'700'000'000'000)};

    void tell(const std::string& what) const {
        auto db = store::PostgresDatabase::open({url(), {}});
        if (!db || !(*db)->run_script(what)) give_up(what.c_str());
    }
    std::string data() const { return dir_.file("data"); }
    static std::string program(const std::string& name) {
        return "/usr/lib/postgresql/15/bin/" + name;
    }
    [[noreturn]] void give_up(const char* what) const {
        std::fprintf(stderr, "tests: no PostgreSQL 15 (scripts/install-deps): %s failed\n", what);
        (void)!std::system(("cat " + log() + " >&2").c_str());
        std::abort();
    }
    pid_t begin(const std::string& data, const std::string& port) {
        const pid_t pid = spawn({program("postgres"),
                                 "-D",
                                 data,
                                 "-k",
                                 dir_.path(),
                                 "-p",
                                 port,
                                 "-c",
                                 "listen_addresses=",
                                 "-c",
                                 "fsync=off",
                                 "-c",
                                 "shared_buffers=16MB",
                                 "-c",
                                 "autovacuum=off",
                                 "-c",
                                 "log_statement=all",
                                 "-c",
                                 "log_line_prefix=%m %p ",
                                 "-c",
                                 "log_duration=off"});
        while (PQping((url() + "&port=" + port).c_str()) != PQPING_OK) {
            if (::waitpid(pid, nullptr, WNOHANG) == pid) give_up("postgres");
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return pid;
    }
    static void end(pid_t pid) {
        ::kill(pid, SIGQUIT);
        ::waitpid(pid, nullptr, 0);
    }
    pid_t spawn(std::vector<std::string> words) {
        const pid_t child = ::fork();
        if (child != 0) return child;
        if (is_other_user_ && (::setgroups(0, nullptr) != 0 || ::setgid(user_.pw_gid) != 0 ||
                               ::setuid(user_.pw_uid) != 0))
            ::_exit(126);
        ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
        if (!std::freopen(log().c_str(), "a", stderr)) ::_exit(126);
        ::dup2(2, 1);
        (void)!::chdir("/");
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }

    TempDir dir_;
    passwd user_{};
    bool is_other_user_ = false;
    pid_t pid_ = -1;
    int schemas_ = 0;
    int databases_ = 0;
};

}  // namespace cvlan::test
